import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.displays import PrefixDisplay

RNG = np.random.default_rng(0)
X = RNG.random((90, 12))
Y = (X + 0.5 * RNG.random(X.shape) > 1.1).astype(int)


@pytest.fixture(scope="module")
def clf():
    clf = MHEMultiLabelClassifier("cascade", head_sizes=(3, 2, 2), model="linear")
    return clf.set_params(label_order="random", random_state=0).fit(X[:60], Y[:60])


def oracle(clf, truth, n_digits, weights):
    """Count samples by true and predicted prefix, one at a time."""
    prefixes = sorted({tuple(c) for c in clf.codec_.encode(range(12))[:, :n_digits]})
    counts = np.zeros((len(prefixes), len(prefixes)))
    best = clf.predict_topk(X, k=1)[0][:, 0]

    def place(label):
        return prefixes.index(tuple(clf.codec_.encode([label])[0, :n_digits]))

    for labels, label, weight in zip(truth, best, weights, strict=True):
        found = [place(true) for true in labels]
        if place(label) in found:
            found = [place(label)]
        for true in found:
            counts[true, place(label)] += weight / len(found)
    return counts


@pytest.mark.parametrize("n_digits", [1, 2])
@pytest.mark.parametrize("weighted", [False, True])
def test_counts_by_brute_force(clf, n_digits, weighted):
    truth = [np.flatnonzero(row).tolist() for row in Y]
    weights = RNG.integers(0, 3, 90) + 0.5 if weighted else np.ones(90)
    expected = oracle(clf, truth, n_digits, weights)
    assert expected.sum() > np.trace(expected) > 0
    given = {"n_digits": n_digits, "sample_weight": weights if weighted else None}
    shares = {
        None: expected,
        "all": expected / expected.sum(),
        "true": expected / expected.sum(axis=1, keepdims=True),
        "pred": expected / np.maximum(expected.sum(axis=0), 1e-300),
    }
    for normalize, wanted in shares.items():
        display = PrefixDisplay.from_estimator(clf, X, Y, normalize=normalize, **given)
        assert_allclose(display.confusion, wanted)
    lists = PrefixDisplay.from_estimator(clf, X, truth, normalize=None, **given)
    assert_allclose(lists.confusion, expected)


def test_groups_are_the_labels_of_each_prefix(clf):
    groups = PrefixDisplay.from_estimator(clf, X, Y).groups
    first = clf.codec_.encode(range(12))[:, 0]
    assert [sorted(group) for group in groups] == [
        np.flatnonzero(first == digit).tolist() for digit in range(3)
    ]


def test_labels_that_are_no_classes_do_not_count():
    y = np.repeat(["a", "b", "c", "d"], 5)
    rows = np.eye(4).repeat(5, axis=0)
    clf = MHEClassifier("cascade", n_heads=2, model="linear", random_state=0)
    clf.fit(rows, y)
    y[:3] = "new"
    display = PrefixDisplay.from_estimator(clf, rows, y, normalize=None)
    assert display.confusion.sum() == 17


def test_the_diagonal(clf):
    display = PrefixDisplay.from_estimator(clf, X, Y, cmap="magma")
    shown = display.image_.get_array()
    assert_array_equal(np.ma.getmaskarray(shown), np.eye(3, dtype=bool))
    assert display.image_.get_cmap().name == "magma"
    for with_it in (
        display.plot(diagonal=True),
        PrefixDisplay.from_estimator(clf, X, Y, diagonal=True),
    ):
        assert_array_equal(with_it.image_.get_array(), with_it.confusion)


def test_invalid_arguments(clf):
    with pytest.raises(ValueError, match="normalize='rows' must be one of 'true', "):
        PrefixDisplay.from_estimator(clf, X, Y, normalize="rows")
    with pytest.raises(ValueError, match="n_digits=0 must be an integer of at least 1"):
        PrefixDisplay.from_estimator(clf, X, Y, n_digits=0)
    with pytest.raises(
        ValueError, match=r"n_digits=3 must be less than .*, which is 3"
    ):
        PrefixDisplay.from_estimator(clf, X, Y, n_digits=3)
    with pytest.raises(ValueError, match=r"y has no classes of .*such as \[0, 1, 2\]"):
        PrefixDisplay.from_estimator(clf, X, [[99]] * 90)
    other = LogisticRegression().fit(X, Y[:, 0])
    with pytest.raises(TypeError, match="LogisticRegression has no codec_: pass a fit"):
        PrefixDisplay.from_estimator(other, X, Y)
