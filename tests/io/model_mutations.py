"""Damaged and hostile copies of a model file: every one is refused, or predicts.

    PYTHONPATH=. python tests/io/model_mutations.py --n 1000

prints how many of them were refused, loaded, or did anything else, of each kind; with
--model, of another model than one of many parts.
"""

import argparse
import collections
import copy
import functools
import hashlib
import json
import operator
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import skmhe.io
from skmhe import MHEClassifier, MHEMultiLabelClassifier, Parts, Sampling
from skmhe.model_selection import MultiLabelTunedThresholdClassifierCV

# What loading takes whatever the file is: Python's objects for the description.
OVERHEAD = 2**20
# What may replace a value of the description.
ODD_VALUES = [
    None, True, -1, 0, 1, 2, 7, 2**31, 2**62, 2**63, 10**30, 0.5, -1e300, "", "os",
    "builtins:eval", [], [1], [[]], {}, {"is": "tuple", "items": []},
    {"is": "trusted", "name": "os:system"}, {"is": "constant", "name": "eval"},
    {"is": "float", "text": "nan"}, {"is": "array", "name": "estimator"},
]  # fmt: skip


def make_data():
    """Return samples, targets, and features of labels."""
    rng = np.random.RandomState(0)
    X = sp.random_array((80, 40), density=0.2, rng=rng, format="csr")
    Y = sp.csr_array((rng.random_sample((80, 12)) < 0.2).astype(int))
    return X, Y, sp.random_array((12, 40), density=0.3, rng=rng, format="csr")


def make_late():
    """Return a model of many parts, with labels that came later."""
    X, Y, Z = make_data()
    clf = MHEMultiLabelClassifier("cascade", **SMALL).fit(X, Y, label_features=Z)
    return clf.add_labels(sp.csr_array(np.eye(2, 40))), X


def make_thresholds():
    """Return a linear model with thresholds."""
    X, Y, _ = make_data()
    clf = MHEMultiLabelClassifier("cascade", model="linear", head_sizes=(4, 3))
    thresholds = MultiLabelTunedThresholdClassifierCV(
        clf, cv=2, scoring="f1_macro", per_label=True
    )
    return thresholds.fit(X, Y), X


def make_single(strategy, dense=False, **params):
    """Return a model of one label per sample."""
    X, _, _ = make_data()
    X = X.toarray() if dense else X
    X = Parts(network=X[:, :10], linear=X) if strategy == "full" else X
    clf = MHEClassifier(strategy, **SMALL | params)
    return clf.fit(X, [f"label {i % 12}" for i in range(80)]), X


SMALL = {"hidden_layer_sizes": (8,), "max_iter": 1, "random_state": 0}
MODELS = {
    "late": make_late,
    "thresholds": make_thresholds,
    "product": lambda: make_single("product", model="network"),
    "sampling": lambda: make_single(Sampling(n_sampled_groups=2)),
    "dense": lambda: make_single("cascade", dense=True),
    "parts": lambda: make_single("full"),
}


def parts_of(data):
    """Return the header, the document and where the arrays start."""
    length = int.from_bytes(data[:8], "little")
    header, start = json.loads(data[8 : 8 + length]), 8 + length
    begin, end = header["document"]["data_offsets"]
    return header, json.loads(data[start + begin : start + end]), start


def joined(header, document, body, change=lambda text: text):
    """Return a file of a description and arrays, whose hashes are right."""
    entries = {n: e for n, e in header.items() if n not in ("document", "__metadata__")}
    for name, entry in entries.items():
        own = body[slice(*entry["data_offsets"])]
        if isinstance(document.get("arrays"), dict) and name in document["arrays"]:
            known = document["arrays"][name]
            if isinstance(known, dict):
                known["sha256"] = hashlib.sha256(own).hexdigest()
    text = change(json.dumps(document).encode())
    begin = header["document"]["data_offsets"][0]
    header = json.loads(json.dumps(header))
    header["document"] |= {
        "shape": [len(text)],
        "data_offsets": [begin, begin + len(text)],
    }
    header["__metadata__"]["sha256"] = hashlib.sha256(text).hexdigest()
    head = json.dumps(header).encode()
    head += b" " * (-(8 + len(head)) % 64)  # or arrays that are mapped are copied
    return len(head).to_bytes(8, "little") + head + body[:begin] + text


def rewrite(path, change):
    """Let a function change the description of a file; hashes are right."""
    data = path.read_bytes()
    header, document, start = parts_of(data)
    change(document)
    path.write_bytes(joined(header, document, data[start:]))


def set_in(*place):
    """Return a function that sets the value at a place, the last one, in JSON."""
    *above, last, value = place

    def change(document):
        functools.reduce(operator.getitem, above, document)[last] = value

    return change


def places_in(value, path=()):
    """Yield the path of each value inside JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, dict | list):
            yield from places_in(item, (*path, key))


def changed_value(rng, value):
    """Put something else into a place inside JSON, or take it away."""
    places = [*places_in(value)]
    *above, last = places[rng.randint(len(places))]
    for key in above:
        value = value[key]
    old = value[last]
    choice = rng.randint(4)
    if choice == 0 and isinstance(old, int):
        value[last] = int(old + rng.choice([-1, 1, 1000]))
    elif choice == 1:
        del value[last]
    elif choice == 2 and isinstance(old, list) and old:
        value[last] = [old[i] for i in rng.permutation(len(old))]
    else:
        # A copy: the next mutation may change what is inside.
        value[last] = copy.deepcopy(ODD_VALUES[rng.randint(len(ODD_VALUES))])


def flip_bits(rng, data):
    """Change some bits."""
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 8])):
        changed[rng.randint(len(data))] ^= 1 << rng.randint(8)
    return bytes(changed)


def flip_in_head(rng, data):
    """Change some bits of the header."""
    length = int.from_bytes(data[:8], "little")
    return flip_bits(rng, data[: 8 + length]) + data[8 + length :]


def cut(rng, data):
    """Leave the end out."""
    return data[: rng.randint(len(data))]


def add(rng, data):
    """Add bytes at the end, or somewhere."""
    place = rng.choice([len(data), rng.randint(len(data))])
    return data[:place] + rng.bytes(rng.randint(1, 100)) + data[place:]


def overwrite(rng, data):
    """Replace a run of bytes."""
    place, size = rng.randint(len(data)), rng.randint(1, 200)
    return (data[:place] + rng.bytes(size) + data[place + size :])[: len(data)]


def change_header(rng, data):
    """Change a value of the header."""
    header, _, start = parts_of(data)
    changed_value(rng, header)
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + data[start:]


def change_document(rng, data):
    """Change values of the description, with hashes that are right."""
    header, document, start = parts_of(data)
    for _ in range(rng.choice([1, 1, 3])):
        changed_value(rng, document["estimator"])
    return joined(header, document, data[start:])


def change_array(rng, data):
    """Change values of an array, with hashes that are right."""
    header, document, start = parts_of(data)
    body, names = bytearray(data[start:]), sorted(document["arrays"])
    begin, end = header[names[rng.randint(len(names))]]["data_offsets"]
    for _ in range(rng.choice([1, 3]) if end > begin else 0):
        body[rng.randint(begin, end)] = rng.choice([0, 1, 127, 128, 255])
    return joined(header, document, bytes(body))


MUTATIONS = (
    flip_bits,
    flip_in_head,
    cut,
    add,
    overwrite,
    change_header,
    change_document,
    change_array,
)


def outcome(path, X, mmap):
    """Return "refused" or "predicts"; anything else is raised.

    What it predicts is of the same form, whatever it is.
    """
    size = path.stat().st_size
    tracemalloc.start()
    try:
        clf = skmhe.io.load(path, mmap=mmap)
    except (ValueError, OSError) as error:
        assert path.name in str(error) and len(str(error)) < 2000
        return "refused"
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= 2 * size + OVERHEAD, (peak, size)
    try:
        with np.errstate(all="ignore"):  # weights may be NaN
            found = clf.predict_proba(X)
            clf.predict(X)
            labels, _ = clf.predict_topk(X, 1)
    except ValueError:  # of parameters, which predictions look at
        return "refused"
    assert found.shape == (X.shape[0], len(clf.classes_))
    assert labels.shape == (X.shape[0], 1)
    return "predicts"


def count(n, seed=0, model="late"):
    """Return the numbers of outcomes of n mutations, by kind of mutation."""
    clf, X = MODELS[model]()
    rng, found = np.random.RandomState(seed), collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.safetensors")
        skmhe.io.save(clf, path)
        data = path.read_bytes()
        for i in range(n):
            mutation = MUTATIONS[i % len(MUTATIONS)]
            path.write_bytes(mutation(rng, data))
            mmap = bool(i // len(MUTATIONS) % 2)
            try:
                result = outcome(path, X, mmap)
            except Exception:
                print(f"mutation {i}, {mutation.__name__}, mmap={mmap}")
                raise
            found[mutation.__name__, result] += 1
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", choices=MODELS, default="late")
    args = parser.parse_args()
    for (kind, result), n in sorted(count(args.n, args.seed, args.model).items()):
        print(f"{kind:16} {result:9} {n:5}")


if __name__ == "__main__":
    main()
