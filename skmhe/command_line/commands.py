"""The commands, with their help."""

import json
from typing import Any

import click

import skmhe
from skmhe.command_line.data import Data, read, read_train_labels
from skmhe.command_line.errors import data_errors
from skmhe.command_line.evaluation import evaluated, unknown_labels
from skmhe.command_line.files import STANDARD, check_files, check_output, output
from skmhe.command_line.models import Model
from skmhe.command_line.notes import Notes, counted
from skmhe.command_line.options import (
    DATA,
    MODEL,
    OF_LABELS,
    OF_SAMPLES,
    QUIET,
    READABLE,
    TRUSTED,
    in_format,
    not_nan,
    several,
)
from skmhe.command_line.predictions import Predictions, as_json, as_text, names_for
from skmhe.command_line.reading import USED, Reading
from skmhe.command_line.recipe import Recipe, fit, parse_settings

FORMATS = tuple(USED)
HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 88}
LABELED = FORMATS[:-1]


@click.group(context_settings=HELP)
@click.version_option(skmhe.__version__)
def cli() -> None:
    """Classification with thousands to millions of labels.

    Train a model, predict the best labels of samples with it, and evaluate it:

    \b
      $ skmhe train train.txt model.safetensors
      $ skmhe predict model.safetensors test.txt -k 3 --output best.tsv
      $ skmhe evaluate model.safetensors test.txt --train train.txt

    Data are features, in the format of the extreme classification repository (xmc)
    or in svmlight's, or texts, in CSV or JSON lines. Files that end in .gz, .bz2,
    .xz or .zst are decompressed, and - is standard input. Results go to standard
    output, and everything else to standard error. The exit code is 2 for a wrong
    command line, and 1 for wrong data.
    """  # noqa: D301


@cli.command(no_args_is_help=True)
@DATA
@click.argument(
    "model", type=click.Path(dir_okay=False, writable=True), callback=check_output
)
@in_format(*LABELED)
@several(*OF_SAMPLES, *OF_LABELS)
@click.option(
    "--one-label/--any-number",
    default=None,
    help="Whether a sample has exactly one label or any number of them, whose "
    "probabilities are independent. By default, the data decide.",
)
@click.option(
    "--set",
    "settings",
    metavar="NAME=VALUE",
    multiple=True,
    callback=parse_settings,
    help="Set a parameter of MHEClassifier and MHEMultiLabelClassifier or, after "
    "vectorizer__, of TfidfVectorizer. Values are JSON or else text. May be "
    "given several times.",
)
@click.option(
    "--tune-threshold",
    type=click.Choice(["f1_micro", "f1_macro", "f1_samples"]),
    help="Find the probability above which labels are predicted, for the largest F1 "
    "of a fifth of the samples, which are held out; then train on all of them.",
)
@click.option(
    "--json", "in_json", is_flag=True, help="Write a JSON object: what was trained."
)
@QUIET
def train(
    data: str,
    model: str,
    one_label: bool | None,
    settings: dict[str, Any],
    tune_threshold: str | None,
    in_json: bool,
    quiet: bool,
    **reading: Any,
) -> None:
    """Train a model on DATA, and write it to the file MODEL.

    Texts become features by TfidfVectorizer, which is part of the model.

    \b
      $ skmhe train train.txt model.safetensors --set model=linear
      $ skmhe train tickets.csv tickets.safetensors --label team --set random_state=0
      $ skmhe train tagged.csv tagged.safetensors --label tags --separator ";"
      $ skmhe train train.txt tuned.safetensors --tune-threshold f1_micro --json
      $ skmhe train posts.jsonl.gz posts.safetensors --text title --text body
    """  # noqa: D301
    recipe, notes = Recipe.of(settings), Notes(quiet)
    check_files(data, reading["label_file"], target=model)
    samples = read(data, Reading(**reading))
    has_one = samples.has_one_label(one_label)
    kind = "one per sample" if has_one else "any number per sample"
    notes.say(f"{samples.described()}, {kind}")
    _check_separator(samples, reading["separator"], notes)
    estimator = recipe.estimator(samples, not has_one, tune_threshold)
    with notes.timed("trained"), data_errors(samples.name):
        fit(estimator, samples, has_one, shows_progress=not quiet)
    with data_errors():
        skmhe.io.save(estimator, model)
    found = Model(model, estimator).describe()
    notes.say(f"wrote {model}, {counted(found['bytes'], 'byte')}")
    if in_json:
        of_data = {"n_samples": samples.n_samples, "example_label": samples.example()}
        _write(of_data | found)


@cli.command(no_args_is_help=True)
@MODEL
@DATA
@click.option(
    "-k",
    type=click.IntRange(min=1),
    help="Number of labels per sample. By default, 5, or all where there are fewer; "
    "with a tuned threshold, all above it, at most 50.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    callback=not_nan,
    help="Leave out labels of a lower probability. By default, those below the "
    "threshold of --tune-threshold, if MODEL has one, or none.",
)
@click.option(
    "--label-names",
    metavar="FILE",
    type=READABLE,
    help="File with a name per line for the labels 0, 1, ..., which are written in "
    "their place; or with a title per object of JSON.",
)
@in_format(*FORMATS)
@several(*OF_SAMPLES)
@click.option("--json", "in_json", is_flag=True, help="Write a JSON object per sample.")
@click.option(
    "-o",
    "--output",
    "target",
    metavar="FILE",
    type=click.Path(dir_okay=False, writable=True, allow_dash=True),
    default=STANDARD,
    callback=check_output,
    help="Where to write, compressed by its suffix. By default, standard output.",
)
@TRUSTED
@QUIET
def predict(
    model: str,
    data: str,
    k: int | None,
    threshold: float | None,
    label_names: str | None,
    in_json: bool,
    target: str,
    trusted: list[Any],
    quiet: bool,
    **reading: Any,
) -> None:
    """Predict the best labels of the samples of DATA.

    There is a line for each sample, with its labels, best first, each followed by its
    probability. They are separated by tabs; a tab in a label is written as \\t, a line
    feed as \\n. DATA may have labels, which are not read, and texts may also be plain
    lines.

    \b
      $ skmhe predict model.safetensors test.txt -k 3 --output best.tsv
      $ echo "no wifi" | skmhe predict tickets.safetensors - --json
      $ gunzip -c posts.jsonl.gz | skmhe predict posts.safetensors - --text title
      $ skmhe predict posts.safetensors posts.jsonl.gz --text title --quiet | head -2
    """  # noqa: D301
    check_files(data, label_names, model, target=target)
    notes, loaded = Notes(quiet), Model.load(model, trusted=trusted).checked()
    names = None if label_names is None else names_for(loaded, label_names)
    loaded.check_k(k or 1)
    samples = read(data, Reading(**reading, has_labels=False), **loaded.takes)
    show = as_json if in_json else as_text
    k, is_chosen = k or loaded.default_k, loaded.chooser(threshold)
    predictions = Predictions(loaded, k, is_chosen, show, names)
    done = f"predicted {counted(samples.n_samples, 'sample')}"
    with notes.timed(done), data_errors(), output(target) as stream:
        for lines in predictions.lines(samples.X, samples.n_samples):
            stream.write(lines)


@cli.command(no_args_is_help=True)
@MODEL
@DATA
@click.option(
    "-k",
    "ks",
    type=click.IntRange(min=1),
    multiple=True,
    default=[1, 3, 5],
    show_default=True,
    help="Numbers of best labels for P@k and others; larger ones than the number of "
    "labels are left out.",
)
@click.option(
    "--train",
    "train_data",
    metavar="FILE",
    type=READABLE,
    help="Training data, for propensity-scored precision (PSP@k) and for values of "
    "frequent and rare labels. With --label-file, their label file.",
)
@in_format(*LABELED)
@several(*OF_SAMPLES, *OF_LABELS)
@TRUSTED
@click.option("--json", "in_json", is_flag=True, help="Write a JSON object.")
@QUIET
def evaluate(
    model: str,
    data: str,
    ks: tuple[int, ...],
    train_data: str | None,
    trusted: list[Any],
    in_json: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Compare what MODEL predicts with the labels of DATA.

    P@k, nDCG@k and R@k are of the k best labels, F1 is of those that are more probable
    than not; where samples have one label, of the best one.

    \b
      $ skmhe evaluate model.safetensors test.txt --train train.txt
      $ skmhe evaluate tickets.safetensors tickets.csv --label team -k 1 --json
    """  # noqa: D301
    check_files(data, train_data, options["label_file"])
    notes, reading = Notes(quiet), Reading(**options)
    loaded = Model.load(model, trusted=trusted).checked()
    loaded.check_k(min(ks))
    samples = read(data, reading, **loaded.takes)
    notes.say(samples.described())
    train_labels = None
    if train_data is not None:
        train_labels = read_train_labels(train_data, reading)
    if unknown := unknown_labels(loaded, samples):
        _check_separator(samples, reading.separator, notes)
        notes.warn(
            f"the model does not know {counted(len(unknown), 'label')} of "
            f"{samples.name}, such as {samples.example(unknown)!r}, which it never "
            "predicts."
        )
    done = f"evaluated {counted(samples.n_samples, 'sample')}"
    with notes.timed(done), data_errors(samples.name):
        table = evaluated(loaded, samples, ks, train_labels)
    table["unknown"] = {"all": len(unknown)}
    _write(table if in_json else str(table))


@cli.command(no_args_is_help=True)
@MODEL
@TRUSTED
@click.option("--json", "in_json", is_flag=True, help="Write a JSON object.")
def info(model: str, trusted: list[Any], in_json: bool) -> None:
    """Tell what is in the file MODEL.

    Its arrays stay in the file, so that large models are told of quickly.

    \b
      $ skmhe info model.safetensors
      $ skmhe info model.safetensors --json
    """  # noqa: D301
    found = Model.load(model, mmap=True, trusted=trusted).describe()
    if in_json:
        _write(found)
        return
    lines = []
    for name, value in found.items():
        parts = value if isinstance(value, dict) else {}
        lines.append(f"{name}:" if parts else f"{name}: {value}")
        lines += [f"  {inner}: {one}" for inner, one in parts.items()]
    _write("\n".join(lines))


def _check_separator(samples: Data, given: str | None, notes: Notes) -> None:
    """Warn of labels that look as if they were several ones."""
    if given is None and (found := samples.likely_separator()):
        separator, example = found
        notes.warn(
            f"{example!r} in {samples.name} is read as one label: if it is several, "
            f'give --separator "{separator}".'
        )


def _write(result: Any) -> None:
    """Write text, or an object of JSON, to standard output."""
    if not isinstance(result, str):
        result = json.dumps(result, indent=2, ensure_ascii=False, default=str)
    with data_errors(), output(STANDARD) as stream:
        stream.write(f"{result}\n".encode(errors="backslashreplace"))
