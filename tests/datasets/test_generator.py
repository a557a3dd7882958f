"""Made-up data: what is promised of it, and each parameter."""

import numpy as np
import pytest
import scipy.sparse as sp

from skmhe import MHEClassifier
from skmhe.datasets import make_extreme_classification

SMALL = {"n_samples": 4000, "n_features": 800, "n_labels": 60, "random_state": 0}


def make(**parameters):
    return make_extreme_classification(**(SMALL | parameters))


def shares(problem):
    counts = np.asarray(problem.target.sum(axis=0)).ravel()
    return np.sort(counts / counts.sum())[::-1]


def test_forms():
    problem = make(n_samples=300)
    X, Y = problem.data, problem.target
    assert X.shape == (300, 800) and Y.shape == (300, 60)
    assert X.dtype == Y.dtype == problem.label_features.dtype == np.float32
    assert sp.issparse(X) and X.format == Y.format == "csr"
    assert (Y.data == 1).all() and np.diff(Y.indptr).min() == 1
    np.testing.assert_allclose(sp.linalg.norm(X, axis=1), 1, rtol=1e-6)
    assert problem.label_features.shape == (60, 800)
    for label in (0, 59):
        words = problem.label_texts[label].split()
        assert len(words) == 10
        columns = sorted({int(word[1:]) for word in words})
        assert problem.label_features[label].indices.tolist() == columns
    single = make(n_samples=300, multilabel=False)
    assert single.target.shape == (300,) and single.target.dtype == np.int64


def test_random_state():
    one, same, other = make(), make(), make(random_state=1)
    assert abs(one.data - same.data).nnz == 0 and abs(one.data - other.data).nnz > 0
    assert abs(one.target - same.target).nnz == 0
    by_instance = make(random_state=np.random.RandomState(0))
    assert abs(one.data - by_instance.data).nnz == 0
    assert make(random_state=None, n_samples=5).data.shape == (5, 800)


@pytest.mark.parametrize("exponent", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("n_children", [1, 4])
def test_frequencies_follow_the_power_law(exponent, n_children):
    problem = make(
        n_samples=60_000,
        n_labels_per_sample=1.5,  # few are drawn twice
        exponent=exponent,
        n_children=n_children,
        n_noise=0,
    )
    expected = np.arange(1, 61.0) ** -exponent
    np.testing.assert_allclose(shares(problem), expected / expected.sum(), rtol=0.15)


def test_labels_per_sample():
    for mean in (1, 2.5):
        Y = make(n_labels_per_sample=mean, exponent=0, n_labels=2000, n_children=1)
        assert Y.target.nnz / 4000 == pytest.approx(mean, rel=0.03)


def test_siblings_occur_together():
    together = {}
    for n_children in (1, 6):
        Y = make(n_children=n_children, exponent=0).target
        pairs = (Y.T @ Y).toarray()
        np.fill_diagonal(pairs, 0)
        siblings = np.kron(np.eye(10), np.ones((6, 6))) > 0
        together[n_children] = pairs[siblings].sum() / pairs.sum()
    assert together[1] == pytest.approx(5 / 59, abs=0.02)
    assert together[6] > 0.3


def test_relatives_share_features():
    problem = make(n_children=4, n_informative=16, n_features=10**6)
    Z = problem.label_features
    shared = (16 * (Z @ Z.T).toarray()).round()
    assert [parent[17] for parent in problem.parents] == [4, 1, 0]
    # Of 16 features, 8 are a label's own, 4 its parent's, and so on.
    assert shared[17, [17, 16, 20, 31, 32, 0]].tolist() == [16, 8, 4, 4, 2, 2]
    assert make(n_children=1).parents == []


def test_numbers_of_features():
    problem = make(n_informative=20, n_noise=0, multilabel=False, n_features=10**6)
    assert problem.data.nnz / 4000 == pytest.approx(10, rel=0.05)
    own = problem.label_features[problem.target] != 0
    assert ((problem.data != 0) > own).nnz == 0
    problem = make(n_informative=20, n_noise=7, multilabel=False, n_features=10**6)
    assert 14 < problem.data.nnz / 4000 < 17.1


def test_random_features_are_as_frequent_as_words():
    problem = make(n_informative=1, n_noise=50, multilabel=False, n_features=10**4)
    counts = np.bincount(problem.data.indices, minlength=10**4)
    # Of n random ones of a sample, the share of the one at rank r is log(1 + 1 / r).
    shares = np.log1p(1 / np.arange(1, 100)) / np.log(10**4)
    expected = 4000 * (1 - (1 - shares) ** 50)
    np.testing.assert_allclose(counts[:99:10], expected[::10], rtol=0.1)


def test_labels_can_be_learned():
    problem = make(multilabel=False)
    clf = MHEClassifier(model="linear", random_state=0)
    clf.fit(problem.data[:3000], problem.target[:3000])
    assert 0.8 < clf.score(problem.data[3000:], problem.target[3000:]) < 1


@pytest.mark.parametrize("name", ["n_samples", "n_features", "n_labels", "n_children"])
def test_smallest_numbers(name):
    problem = make(**{"n_samples": 20, name: 1})
    assert problem.data.shape[0] == problem.target.shape[0]


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"n_samples": 5.0}, TypeError, "n_samples must be an int, got 5.0"),
        ({"n_labels": 0}, ValueError, "n_labels must be finite and at least 1, got 0"),
        ({"n_children": 0}, ValueError, "n_children must be finite and at least 1"),
        ({"n_noise": True}, TypeError, "n_noise must be an int, got True"),
        ({"exponent": "1"}, TypeError, "exponent must be a number, got '1'"),
        ({"exponent": np.nan}, ValueError, "exponent must be finite and at least 0"),
        ({"n_labels_per_sample": 0.5}, ValueError, "at least 1, got 0.5"),
        ({"multilabel": "no"}, TypeError, "multilabel must be True or False, got 'no'"),
    ],
)
def test_errors(parameters, error, message):
    with pytest.raises(error, match=message):
        make(**parameters)
