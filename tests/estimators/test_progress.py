"""What `verbose` shows: a bar in terminals and notebooks, lines of a log elsewhere."""

import io
import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from types import SimpleNamespace

import numpy as np
import pytest
from estimator_problems import both, differ, make, make_data
from joblib import parallel_config
from sklearn.model_selection import GridSearchCV
from tqdm import notebook
from user_modules import Dense

from skmhe import Backbone
from skmhe.scorers.progress import LOGGER
from skmhe.training import loop
from skmhe.training.loop import Trainer

X, Y = make_data()
SECONDS = r"\d+\.\d s"
RATE = r"rows/s [\d,]+"
EPOCH = rf"loss \d+\.\d{{4}}, {RATE}, {SECONDS}, {SECONDS} left"
# What a program does that is given no more than this code: each needs a process.
FIT = """
import numpy as np
from skmhe import MHEClassifier
rng = np.random.RandomState(0)
X, y = rng.rand(60, 5), np.arange(60) % 3
clf = MHEClassifier(model="network", max_iter=4, random_state=0)
"""


def lone(**params):
    """Return a network that trains for 3 epochs of 3 steps."""
    return make(strategy="full", model="network", **params)


def messages(caplog):
    """Return the lines that were logged, as they are shown."""
    assert {(r.name, r.levelname) for r in caplog.records} <= {("skmhe", "INFO")}
    return [record.getMessage() for record in caplog.records]


@pytest.fixture
def log(caplog):
    """Let the root logger take lines, as a program's configuration does."""
    caplog.set_level(logging.INFO)
    return caplog


# pytest sets sys.stderr and handlers after the fixtures: these are called in the tests.


def without_handlers(monkeypatch):
    """Leave the logger without handlers; those of the root are pytest's."""
    monkeypatch.setattr(LOGGER, "propagate", False)
    assert not LOGGER.hasHandlers()


class Terminal(io.StringIO):
    """What a terminal is told."""

    def isatty(self):
        return True

    def rows(self):
        """Return all that its only row has shown, and assert that there is one."""
        text = self.getvalue()
        assert text.count("\n") == text.endswith("\n")
        return [row.strip() for row in text.split("\r") if row.strip()]


def in_terminal(monkeypatch):
    """Let errors go to a terminal, and return it."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    return terminal


def run(code):
    """Run a program, and return its output and its errors."""
    command = [sys.executable, "-W", "error", "-c", FIT + code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# ------------------------------------------------------------ lines


@both
def test_a_line_for_each_epoch(cls, log):
    X, y = make_data(cls)
    make(cls, "full", model="network", verbose=1).fit(X, y)
    lines = messages(log)
    assert len(lines) == 3
    for epoch, line in enumerate(lines, 1):
        assert re.fullmatch(rf"network: epoch {epoch}/3, {EPOCH}", line)
    assert lines[-1].endswith(" 0.0 s left")


def test_figures_of_lines_are_those_of_the_estimator(log, monkeypatch):
    monkeypatch.setattr(loop, "TOLERANCE", 1.0)
    clf = lone(verbose=1, early_stopping=True, max_iter=9).fit(X, Y)
    pattern = r"network: epoch (\d)/9, loss (.*), validation (.*), rows/s (.*), "
    pattern += rf"{SECONDS}, .* left"
    found = [re.fullmatch(pattern, line).groups() for line in messages(log)]
    n_samples = len(Y) - round(0.1 * len(Y))  # without those that are held out
    assert found == [
        (
            str(epoch["epoch"]),
            f"{epoch['loss']:.4f}",
            f"{epoch['validation_score']:.4f}",
            f"{n_samples / epoch['seconds']:,.0f}",
        )
        for epoch in clf.history_
    ]
    assert clf.n_iter_ == len(found) < 9  # it stopped early


def test_each_part_has_lines(log):
    make(strategy="sampling", head_sizes=(4, 3), verbose=True, max_iter=2).fit(X, Y)
    one_round = [re.fullmatch(rf"\w+( \w+)?: {SECONDS}", m) for m in messages(log)]
    assert [bool(match) for match in one_round] == [True, True, False, False, False]
    expected = ["label order: ", "centroids: ", "linear classifiers: level 1/1, "]
    expected += ["network: epoch 1/2, ", "network: epoch 2/2, "]
    lines = messages(log)
    assert len(lines) == len(expected)
    assert all(map(str.startswith, lines, expected))
    log.clear()
    make(model="linear", strategy="cascade", verbose=1).fit(X, Y)
    lines = messages(log)
    expected = ["label order: ", *(f"linear classifiers: level {i}/2, " for i in "12")]
    assert len(lines) == len(expected)
    assert all(map(str.startswith, lines, expected))


def test_features_of_a_frozen_backbone_are_a_part(log):
    backbone = Backbone(Dense, freeze=True, n_features=X.shape[1])
    make(strategy="full", backbone=backbone, verbose=1, early_stopping=True).fit(X, Y)
    lines = messages(log)
    assert lines[0].startswith("features of the frozen backbone: ")
    assert len(lines) == 4


def test_partial_fit_has_a_line(log):
    clf = lone(verbose=1)
    for _ in range(2):
        clf.partial_fit(X, Y, np.unique(Y))
    lines = messages(log)
    assert len(lines) == 2
    assert all(re.fullmatch(rf"network: epoch 1/1, {EPOCH}", line) for line in lines)


def test_remaining_seconds(log, monkeypatch):
    clock = iter([100.0, 102.0, 105.0, 106.0])
    fake = SimpleNamespace(perf_counter=lambda: next(clock))
    monkeypatch.setattr("skmhe.scorers.progress.time", fake)
    lone(verbose=1).fit(X, Y)
    times = [line.partition("rows/s ")[2].partition(", ")[2] for line in messages(log)]
    assert times == ["2.0 s, 4.0 s left", "5.0 s, 2.5 s left", "6.0 s, 0.0 s left"]


@pytest.mark.parametrize("verbose", [False, 0, np.False_])
def test_nothing_is_shown_without_verbose(verbose, log, capsys, monkeypatch):
    terminal = in_terminal(monkeypatch)
    for model in ("both", "linear"):
        make(model=model, verbose=verbose).fit(X, Y).predict(X)
    assert not log.records
    assert terminal.getvalue() == capsys.readouterr().out == ""


@pytest.mark.parametrize("model", ["both", "network", "linear"])
@both
def test_no_result_changes(cls, model, monkeypatch):
    in_terminal(monkeypatch)
    X, y = make_data(cls)
    silent, shown, logged = (
        make(cls, model=model, verbose=verbose).fit(X, y) for verbose in (0, 1, 2)
    )
    assert not differ(silent, shown)
    assert not differ(silent, logged)
    assert silent.loss_curve_ == shown.loss_curve_ == logged.loss_curve_


# ------------------------------------------------------------ logging


def test_lines_are_on_stderr_where_nobody_set_up_logging(capsys, monkeypatch):
    without_handlers(monkeypatch)
    lone(verbose=1).fit(X, Y)
    output = capsys.readouterr()
    assert output.out == ""
    lines = output.err.splitlines()
    assert len(lines) == 3
    assert all(re.fullmatch(rf"network: epoch \d/3, {EPOCH}", line) for line in lines)


def test_lines_are_written_as_a_whole(monkeypatch):
    # Those of other threads must not come between.
    without_handlers(monkeypatch)
    written = []
    stderr = SimpleNamespace(
        write=written.append, flush=lambda: None, isatty=lambda: False
    )
    monkeypatch.setattr(sys, "stderr", stderr)
    lone(verbose=1).fit(X, Y)
    assert len("".join(written).splitlines()) == 3
    assert all(text.endswith("\n") for text in written if text)
    assert all(len(text) > 1 for text in written if text)


def test_a_handler_of_the_user_gets_all_lines(caplog, capsys, monkeypatch):
    without_handlers(monkeypatch)
    handler = logging.StreamHandler(stream := io.StringIO())
    monkeypatch.setattr(LOGGER, "handlers", [handler])
    caplog.set_level(logging.INFO, "skmhe")
    lone(verbose=1).fit(X, Y)
    assert len(stream.getvalue().splitlines()) == 3
    assert capsys.readouterr().err == ""


def test_the_level_that_a_user_set_is_obeyed(caplog, capsys):
    caplog.set_level(logging.WARNING, "skmhe")
    lone(verbose=1).fit(X, Y)
    assert not caplog.records
    assert capsys.readouterr().err == ""


def test_a_level_is_obeyed_without_handlers(caplog, capsys, monkeypatch):
    without_handlers(monkeypatch)
    caplog.set_level(logging.WARNING, "skmhe")
    lone(verbose=1).fit(X, Y)
    assert capsys.readouterr().err == ""


def configuration():
    """Return how logging is set up."""
    loggers = LOGGER, logging.getLogger()
    return [
        (logger.level, list(logger.handlers), logger.disabled, logger.propagate)
        for logger in loggers
    ]


@pytest.mark.parametrize("with_handlers", [False, True])
def test_logging_stays_as_it_is(with_handlers, monkeypatch, capsys):
    if not with_handlers:
        without_handlers(monkeypatch)
    before = configuration()
    lone(verbose=1).fit(X, Y)
    assert configuration() == before
    with pytest.raises(ValueError, match="diverged"):
        lone(verbose=1, learning_rate_init=1e30).fit(X, Y)
    assert configuration() == before


def test_lines_of_a_program_that_writes_to_a_pipe():
    out, err = run("clf.set_params(verbose=True).fit(X, y)")
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 4
    assert all(re.fullmatch(rf"network: epoch \d/4, {EPOCH}", line) for line in lines)


# ------------------------------------------------------------ several fits at a time


def test_fits_of_a_search_in_threads_have_lines(log, monkeypatch):
    terminal = in_terminal(monkeypatch)
    search = GridSearchCV(lone(verbose=1), {"dropout": [0.0, 0.5]}, cv=2, refit=False)
    with parallel_config("threading", n_jobs=2):
        search.fit(X, Y)
    assert terminal.getvalue() == ""
    lines = messages(log)
    assert len(lines) == 4 * 3
    assert sum("epoch 3/3" in line for line in lines) == 4


def test_a_thread_has_lines(monkeypatch):
    terminal = in_terminal(monkeypatch)
    without_handlers(monkeypatch)
    thread = threading.Thread(target=lone(verbose=1).fit, args=(X, Y))
    thread.start()
    thread.join(60)
    assert len(terminal.getvalue().splitlines()) == 3
    assert "\r" not in terminal.getvalue()


def test_a_process_of_another_one_has_lines(log, monkeypatch):
    terminal = in_terminal(monkeypatch)
    monkeypatch.setattr(multiprocessing, "parent_process", object)
    lone(verbose=1).fit(X, Y)
    assert terminal.getvalue() == ""
    assert len(messages(log)) == 3


# ------------------------------------------------------------ bars


@pytest.mark.parametrize("verbose", [True, 1, np.True_])
def test_a_bar_in_a_terminal(verbose, log, monkeypatch):
    terminal = in_terminal(monkeypatch)
    # It warns in notebooks without widgets.
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    lone(verbose=verbose, early_stopping=True).fit(X, Y)
    rows = terminal.rows()
    assert re.match(r"network: +0%\|", rows[0])
    assert re.match(r"network: 100%\|", rows[-1])
    for shown in ("epoch=3/3", "loss=", "validation=", "rows/s="):
        assert shown in rows[-1]
    assert not log.records


def test_one_bar_shows_which_part_is_running(monkeypatch):
    terminal = in_terminal(monkeypatch)
    make(strategy="sampling", head_sizes=(4, 3), verbose=1).fit(X, Y)
    rows = terminal.rows()
    parts = [row.partition(":")[0] for row in rows]
    order = ["label order", "centroids", "linear classifiers", "network"]
    assert list(dict.fromkeys(parts)) == order
    assert parts == sorted(parts, key=order.index)
    assert "level=1/1" in rows[parts.index("network") - 1]
    assert not any("level" in row for row in rows[parts.index("network") :])
    for part in order:
        last = rows[len(parts) - 1 - parts[::-1].index(part)]
        assert last.startswith(f"{part}: 100%|")


def test_a_bar_is_full_when_training_stops_early(monkeypatch):
    terminal = in_terminal(monkeypatch)
    monkeypatch.setattr(loop, "TOLERANCE", 10.0)
    clf = lone(verbose=1, max_iter=50).fit(X, Y)
    assert clf.n_iter_ == 4
    last = terminal.rows()[-1]
    assert last.startswith("network: 100%")
    assert "epoch=4/50" in last


def test_a_bar_stays_where_an_error_ends_it(monkeypatch):
    terminal = in_terminal(monkeypatch)
    with pytest.raises(ValueError, match="diverged"):
        lone(verbose=1, learning_rate_init=1e30, max_iter=50).fit(X, Y)
    assert re.match(r"network: +[0-9]%", terminal.rows()[-1])
    assert terminal.getvalue().endswith("\n")


def test_a_bar_is_over_when_an_interruption_is_warned_of(monkeypatch):
    terminal, step, told = in_terminal(monkeypatch), Trainer.step, []

    def interrupted(trainer, rows):
        signal.raise_signal(signal.SIGINT)
        return step(trainer, rows)

    monkeypatch.setattr(Trainer, "step", interrupted)
    monkeypatch.setattr(
        "skmhe.training.loop.warn_of_interruption",
        lambda *_, **options: told.append(terminal.getvalue()),
    )
    lone(verbose=1).fit(X, Y)
    assert told == [terminal.getvalue()]  # nothing is shown after it
    assert told[0].endswith("\n")
    assert re.match(r"network: +1\d%", terminal.rows()[-1])


def test_nothing_is_shown_before_arguments_are_checked(monkeypatch):
    terminal = in_terminal(monkeypatch)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        lone(verbose=1).fit(X, Y[:-1])
    assert terminal.getvalue() == ""


def test_larger_numbers_are_for_lines_in_a_terminal(log, monkeypatch):
    terminal = in_terminal(monkeypatch)
    lone(verbose=2).fit(X, Y)
    lone(verbose=10).fit(X, Y)
    assert len(messages(log)) == 6
    assert terminal.getvalue() == ""


def test_programs_without_a_console(monkeypatch, log):
    monkeypatch.setattr(sys, "stderr", None)
    lone(verbose=1).fit(X, Y)
    assert len(messages(log)) == 3


def broken_pipe():
    end, start = os.pipe()
    os.close(end)
    return os.fdopen(start, "w")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("make_stream", [broken_pipe, closed])
def test_a_fit_goes_on_where_nobody_listens(make_stream, monkeypatch):
    stream = make_stream()
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(sys, "stderr", stream)
    clf = lone(verbose=1).fit(X, Y)
    monkeypatch.undo()
    assert clf.n_iter_ == 3
    with suppress(BrokenPipeError):
        stream.close()


def test_a_window_in_place_of_stderr(monkeypatch):
    written = []
    monkeypatch.setattr(LOGGER, "propagate", False)
    monkeypatch.setattr(sys, "stderr", SimpleNamespace(write=written.append))
    lone(verbose=1).fit(X, Y)
    assert len(list(filter(None, written))) == 3


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="there are no such terminals")
@pytest.mark.parametrize("columns", [0, 100])
def test_a_pseudo_terminal(columns, monkeypatch):
    import termios

    ours, theirs = os.openpty()
    termios.tcsetwinsize(theirs, (24 if columns else 0, columns))
    parts = []

    def read():
        try:
            while part := os.read(ours, 4096):
                parts.append(part)
        except OSError:  # how Linux says that the other end is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    with open(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        lone(verbose=1).fit(X, Y)
    reader.join(60)
    os.close(ours)
    text = b"".join(parts).decode()
    assert text.count("\n") == 1
    last = text.rstrip().rpartition("\r")[2]
    assert last.startswith("network: 100%|")
    assert last.endswith("]")
    assert len(last) < (columns or 81)


# ------------------------------------------------------------ notebooks


@pytest.fixture
def cell(monkeypatch):
    """Pretend that this is a notebook's kernel; return the outputs of a cell."""
    outputs = []

    def display(data, raw, display_id):
        assert raw and display_id
        outputs.append([data])
        return SimpleNamespace(update=lambda data, raw: outputs[-1].append(data))

    shell = SimpleNamespace(kernel=object())
    ipython = SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(
        sys.modules, "IPython.display", SimpleNamespace(display=display)
    )
    return SimpleNamespace(outputs=outputs, shell=shell)


def test_a_notebook_without_widgets_has_one_display(cell, monkeypatch, log, capsys):
    monkeypatch.setattr(notebook, "IProgress", None)
    make(verbose=1).fit(X, Y)
    (states,) = cell.outputs
    assert len(states) > 5
    assert all(state.keys() == {"text/plain"} for state in states)
    texts = [state["text/plain"] for state in states]
    assert texts[0].startswith("label order:   0%|")
    # The last state is all that is saved.
    assert re.fullmatch(r"network: 100%\|█+\| \[.*, epoch=3/3, loss=.*\]", texts[-1])
    assert not any("\n" in text or "\r" in text for text in texts)
    assert not log.records
    assert capsys.readouterr() == ("", "")


def test_a_notebook_with_widgets_has_the_bar_of_tqdm(cell, monkeypatch):
    bars = []

    class Widget(notebook.std_tqdm):
        def __init__(self, **options):
            bars.append(self)
            super().__init__(file=io.StringIO(), **options)

    monkeypatch.setattr(notebook, "IProgress", object)
    monkeypatch.setattr(notebook, "tqdm", Widget)
    monkeypatch.setattr(loop, "TOLERANCE", 10.0)
    make(verbose=1, max_iter=50).fit(X, Y)
    (bar,) = bars
    # Otherwise, tqdm would color it as after an error.
    assert bar.n == bar.total == 50
    # A fast part must not keep tqdm from showing each piece of a slow one.
    assert (bar.miniters, bar.dynamic_miniters) == (0, False)
    assert bar.desc == "network: "
    assert not cell.outputs


def test_a_terminal_of_ipython_is_a_terminal(cell, monkeypatch):
    terminal = in_terminal(monkeypatch)
    del cell.shell.kernel
    lone(verbose=1).fit(X, Y)
    assert terminal.rows()[-1].startswith("network: 100%")
    assert not cell.outputs


def test_larger_numbers_are_for_lines_in_a_notebook(cell, log):
    lone(verbose=2).fit(X, Y)
    assert len(messages(log)) == 3
    assert not cell.outputs


def test_tqdm_is_imported_where_a_bar_is_shown_only():
    # torch imports it, too, where it can.
    code = """
import sys
assert not {"tqdm.auto", "tqdm.autonotebook", "tqdm.notebook"} & sys.modules.keys()
for name in [name for name in sys.modules if name.split(".")[0] == "tqdm"]:
    sys.modules[name] = None
clf.fit(X, y).set_params(verbose=1).fit(X, y)
"""
    assert len(run(code)[1].splitlines()) == 4
