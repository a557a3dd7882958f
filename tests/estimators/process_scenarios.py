"""What children of processes compute that have computed before.

    python tests/estimators/process_scenarios.py         # a table of all outcomes
    python tests/estimators/process_scenarios.py PARENT  # those of one parent

A parent fits and predicts with several threads, lets children do the same, and compares
the results. It runs in a process of its own, with its own OMP_NUM_THREADS, and within a
time limit: a child that waits for threads that it does not have would wait for ever.
"""

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
# A step is worth more than one thread, and the first one is the last.
N_SAMPLES, N_FEATURES, N_LABELS = 1000, 300, 16
NETWORKS = ("cascade", "sampling", "multi-label")


class Scenario(NamedTuple):
    """What a parent has done when its child starts, and how this starts."""

    parent: str  # its process
    done: str
    child: str


# Scenarios of one parent follow one another in its process.
SCENARIOS = [
    Scenario("stages", "nothing", "fork"),
    Scenario("stages", "fit of linear classifiers", "fork"),
    Scenario("stages", "fit", "fork"),
    Scenario("stages", "fit, predict", "fork"),
    Scenario("kinds", "fit, predict", "fork, and its own child by fork"),
    Scenario("kinds", "fit, predict", "fork, in a thread of the child"),
    Scenario("kinds", "fit, predict", "fork, by multiprocessing.Pool"),
    Scenario("kinds", "fit, predict", 'joblib, "multiprocessing"'),
    Scenario("one-thread", "fit, predict", "fork"),
    Scenario("more-threads", "fit, predict", "fork"),
    Scenario("set-threads", "torch.set_num_threads(2), fit, predict", "fork"),
    Scenario("in-thread", "fit, predict, in a thread", "fork, in this thread"),
    Scenario("shortlists", "fit with shortlists by faiss", "fork"),
    Scenario("new", "fit, predict", "spawn"),
    Scenario("new", "fit, predict", "forkserver"),
    Scenario("new", "fit, predict", 'joblib, "loky"'),
    Scenario("preloaded", "fit, predict", "forkserver, skmhe preloaded"),
]
PARENTS = list(dict.fromkeys(scenario.parent for scenario in SCENARIOS))
N_THREADS = {"one-thread": 1, "more-threads": 4, "set-threads": 1}


def make_data():
    """Return samples and labels that are easy to tell apart."""
    import numpy as np

    rng = np.random.RandomState(0)
    y = np.arange(N_SAMPLES) % N_LABELS
    X = rng.rand(N_SAMPLES, N_FEATURES) + 3 * rng.rand(N_LABELS, N_FEATURES)[y]
    return X.astype(np.float32), y


def fit(name):
    """Return a fitted model, and the samples; sparse ones for "sampling"."""
    import numpy as np
    import scipy.sparse as sp

    from skmhe import LabelEncoder, MHEClassifier, MHEMultiLabelClassifier

    X, y = make_data()
    settings = {"random_state": 0, "device": "cpu"}
    if name == "linear":
        return MHEClassifier(model="linear", **settings).fit(X, y), X
    settings |= {"max_iter": 1, "batch_size": N_SAMPLES}
    if name == "cascade":
        return MHEClassifier("cascade", **settings).fit(X, y), X
    if name == "sampling":
        X = sp.csr_array(X)
        return MHEClassifier("sampling", dtype="float32", **settings).fit(X, y), X
    if name == "multi-label":
        Y = np.eye(N_LABELS, dtype=int)[y]
        return MHEMultiLabelClassifier("full", **settings).fit(X, Y), X
    assert name == "shortlists"
    encoder = LabelEncoder(
        n_shortlisted=2, shortlist_refresh=1, shortlist_search="approximate"
    )
    Z = np.stack([X[y == label].mean(0) for label in range(N_LABELS)])
    settings |= {"label_encoder": encoder, "max_iter": 3}
    return MHEClassifier(**settings).fit(X, y, label_features=Z), X


def predictions(model, X):
    """Return what a model predicts, by method."""
    labels, probabilities = model.predict_topk(X, 1)
    return {
        "predict": model.predict(X),
        "predict_topk": labels,
        "probabilities": probabilities,
        "predict_proba": model.predict_proba(X),
        "decision_function": model.decision_function(X),
    }


def compute(models, names):
    """Return predictions of fitted models, and of models that are fitted here."""
    found = {f"given {name}": predictions(*models[name]) for name in models}
    return found | {f"own {name}": predictions(*fit(name)) for name in names}


def threads_of_process():
    """Return the numbers of threads of torch, MKL and OpenMP, and of all libraries."""
    import torch
    from threadpoolctl import threadpool_info

    lines = torch.__config__.parallel_info().splitlines()
    own = {line for line in lines if "get_" in line and "threads()" in line}
    return own | {(i["filepath"], i["num_threads"]) for i in threadpool_info()}


def compute_and_put_back(models, names):
    """Return the same, if the numbers of threads are as before."""
    before = threads_of_process()
    found = compute(models, names)
    # Computing may load libraries.
    assert before <= threads_of_process()
    return found


def in_thread(function, *arguments):
    """Return what a function returns in a thread of its own."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function(*arguments)))
    thread.start()
    thread.join()
    return results[0]


def put(queue, task, *arguments):
    queue.put(task(*arguments))


def in_process(method, task, *arguments):
    """Return what a function returns in a process that is started by a method."""
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    process = context.Process(target=put, args=(queue, task, *arguments))
    process.start()
    found = queue.get(timeout=SECONDS)
    process.join()
    return found


def compute_in_grandchild(models, names):
    compute_and_put_back(models, names)
    return in_process("fork", compute_and_put_back, models, names)


def in_child(child, *arguments):
    """Return what is computed in a child of some kind."""
    if child.startswith("joblib"):
        from joblib import Parallel, delayed

        backend = child.split('"')[1]
        jobs = [delayed(compute_and_put_back)(*arguments)] * 2
        return Parallel(2, backend=backend)(jobs)[1]
    if "Pool" in child:
        with multiprocessing.get_context("fork").Pool(2) as pool:
            jobs = [pool.apply_async(compute_and_put_back, arguments)] * 2
            return [job.get(SECONDS) for job in jobs][1]
    if "thread of the child" in child:
        return in_process("fork", in_thread, compute_and_put_back, *arguments)
    if "own child" in child:
        return in_process("fork", compute_in_grandchild, *arguments)
    method = child.partition(",")[0]
    if "preloaded" in child:
        context = multiprocessing.get_context(method)
        context.set_forkserver_preload(["skmhe"])
    return in_process(method, compute_and_put_back, *arguments)


def prepare(done, models):
    """Let the parent do what a scenario wants, and keep the models."""
    names = ["linear", *NETWORKS]
    if done == "nothing":
        names = []
    elif "linear" in done:
        names = ["linear"]
    elif "shortlists" in done:
        # faiss, whose threads are its own, is loaded by the second fit.
        names = ["linear", "shortlists"]
    for name in names:
        if name not in models:
            models[name] = model, X = fit(name)
            model.predict(X[:1])  # on one thread
        if "predict" in done:
            predictions(*models[name])


def compare(expected, found):
    """Raise AssertionError unless two dicts of predictions are the same."""
    from numpy.testing import assert_allclose, assert_array_equal

    for model, outputs in found.items():
        for method, values in outputs.items():
            if values.dtype.kind == "f":
                # Sums of other parts, one for each thread, round differently.
                tolerance = {"rtol": 0.05, "atol": 0.02}
                assert_allclose(values, expected[model][method], **tolerance)
            else:
                assert_array_equal(values, expected[model][method])


def run(parent):
    """Run the scenarios of a parent in this process, and print those that succeed."""
    import torch

    if parent == "set-threads":
        torch.set_num_threads(2)
    models, found = {}, []
    own = {"stages": ("linear", *NETWORKS), "shortlists": ("shortlists",)}
    names = own.get(parent, ("linear", "cascade"))
    scenarios = [scenario for scenario in SCENARIOS if scenario.parent == parent]
    for scenario in scenarios:
        prepare(scenario.done, models)
        found.append(in_child(scenario.child, models, names))
        print("Returned:", scenario.child, flush=True)
    # The parent goes on as before.
    expected = compute(models, names)
    for scenario, results in zip(scenarios, found, strict=True):
        compare(expected, results)
        print(line(scenario), flush=True)


def line(scenario):
    return f"Same: {scenario.done}; {scenario.child}"


def run_alone(parent):
    """Run a parent in a process of its own.

    Returns the outcomes of its scenarios, and what it printed.
    """
    threads = str(N_THREADS.get(parent, 2))
    environment = os.environ | {"OMP_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, __file__, parent],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, otherwise = process.communicate(timeout=SECONDS)[0], "differs"
        except subprocess.TimeoutExpired:
            # Its children, too, which hold the pipes.
            os.killpg(process.pid, 9)
            output, otherwise = process.communicate()[0], "hangs"
    lines = output.splitlines()
    scenarios = [scenario for scenario in SCENARIOS if scenario.parent == parent]
    outcomes = ["same" if line(s) in lines else otherwise for s in scenarios]
    return dict(zip(scenarios, outcomes, strict=True)), output


def table_row(scenario, outcome):
    """Return a scenario's row of the table, in Markdown."""
    threads = str(N_THREADS.get(scenario.parent, 2))
    return f"| {threads} | {scenario.done} | {scenario.child} | {outcome} |"


def print_table():
    """Print the outcomes of all scenarios."""
    print("| OMP_NUM_THREADS | parent | child | child's results |")
    print("|---|---|---|---|")
    for parent in PARENTS:
        for scenario, outcome in run_alone(parent)[0].items():
            print(table_row(scenario, outcome), flush=True)


if __name__ == "__main__":
    if not sys.argv[1:]:
        print_table()
    elif sys.argv[1] == "in-thread":
        in_thread(run, "in-thread")
    else:
        run(sys.argv[1])
