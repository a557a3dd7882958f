"""Iterative stratification, and the splitters that are made of it."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV, KFold
from split_problems import brute_force, label_deviation, long_tailed

from skmhe import MHEMultiLabelClassifier
from skmhe.metrics import get_scorer
from skmhe.model_selection import (
    MultiLabelStratifiedKFold,
    MultiLabelStratifiedShuffleSplit,
    train_test_split,
)
from skmhe.model_selection._stratification import assign_folds

Y = long_tailed()
X = np.arange(Y.shape[0])[:, None]


def lists_of(indicator):
    return [row.indices.tolist() for row in sp.csr_matrix(indicator)]


def names_of(indicator):
    return [[f"label {i:02}" for i in row] for row in lists_of(indicator)]


# ------------------------------------------------------------ the algorithm
@given(
    seed=st.integers(0, 10_000),
    shares=st.sampled_from([(0.5, 0.5), (0.25,) * 4, (0.75, 0.25), (0.5, 0.25, 0.25)]),
    n_samples=st.integers(1, 40),
)
def test_assignment_is_that_of_the_paper(seed, shares, n_samples):
    indicator = long_tailed(n_samples, n_labels=12, seed=seed)
    shares = np.array(shares)
    found = assign_folds(indicator, shares, None)
    np.testing.assert_array_equal(found, brute_force(indicator, shares))


def test_shuffled_assignment_depends_on_the_seed_only():
    shares = np.full(4, 0.25)
    one, other, same = (
        assign_folds(Y, shares, np.random.RandomState(seed)) for seed in (0, 1, 0)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


# ------------------------------------------------------------ folds
@pytest.mark.parametrize("n_splits", [2, 5])
@pytest.mark.parametrize("shuffle", [False, True])
def test_folds_are_a_partition_with_even_labels(n_splits, shuffle):
    seed = 0 if shuffle else None
    cv = MultiLabelStratifiedKFold(n_splits, shuffle=shuffle, random_state=seed)
    assert cv.get_n_splits() == n_splits
    splits = list(cv.split(X, Y))
    tests = [test for _, test in splits]
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), np.arange(len(X)))
    for train, test in splits:
        np.testing.assert_array_equal(np.setdiff1d(np.arange(len(X)), test), train)
        assert abs(len(test) - len(X) / n_splits) <= 3
    plain = [test for _, test in KFold(n_splits, shuffle=True, random_state=0).split(X)]
    ours = np.mean([label_deviation(Y, test) for test in tests])
    assert ours < np.mean([label_deviation(Y, test) for test in plain]) / 2


def test_labels_of_two_samples_are_known_in_each_fold():
    frequent = np.flatnonzero(Y.sum(axis=0) >= 2)
    assert (Y.sum(axis=0)[frequent] < 4).any()
    for train, _ in MultiLabelStratifiedKFold(2).split(X, Y):
        assert (Y[train].sum(axis=0)[frequent] > 0).all()


def test_only_shuffled_folds_depend_on_the_seed():
    def folds(**parameters):
        cv = MultiLabelStratifiedKFold(3, **parameters)
        return [test.tolist() for _, test in cv.split(X, Y)]

    assert folds() == folds()
    shuffled = folds(shuffle=True, random_state=0)
    assert shuffled == folds(shuffle=True, random_state=0) != folds()
    assert shuffled != folds(shuffle=True, random_state=1)
    with pytest.raises(ValueError, match="random_state has no effect"):
        folds(random_state=0)


@pytest.mark.parametrize(
    "form",
    [sp.csc_matrix, sp.coo_array, lists_of, names_of, lambda y: y.toarray()],
    ids=["csc_matrix", "coo_array", "lists", "names", "dense"],
)
def test_every_form_of_targets_has_the_same_folds(form):
    occurring = Y[:, np.flatnonzero(Y.sum(axis=0))]  # lists have no other labels
    cv = MultiLabelStratifiedKFold(3, shuffle=True, random_state=0)
    expected = [test.tolist() for _, test in cv.split(X, occurring)]
    assert [test.tolist() for _, test in cv.split(X, form(occurring))] == expected


def test_one_label_per_sample_is_stratified_too():
    y = np.repeat(["a", "b", "c"], [60, 30, 9])
    for _, test in MultiLabelStratifiedKFold(3).split(y, y):
        assert np.unique(y[test], return_counts=True)[1].tolist() == [20, 10, 3]


def test_errors_of_folds():
    cv = MultiLabelStratifiedKFold(5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        list(cv.split(X[1:], Y))
    with pytest.raises(ValueError, match=r"n_splits=5 is larger than .* 4"):
        list(cv.split(X[:4], Y[:4]))
    with pytest.raises(ValueError, match="the target y is None"):
        list(cv.split(X, None))
    with pytest.raises(ValueError, match="holds values such as"):
        list(cv.split(X, Y * 2))
    with pytest.raises(ValueError, match="k-fold cross-validation requires"):
        MultiLabelStratifiedKFold(1)
    with pytest.raises(TypeError, match="shuffle must be True or False"):
        MultiLabelStratifiedKFold(shuffle="yes")


# ------------------------------------------------------------ training and test samples
@pytest.mark.parametrize("test_size", [0.1, 0.5, 0.9, 60])
def test_training_samples_have_every_label(test_size):
    splits = MultiLabelStratifiedShuffleSplit(
        4, test_size=test_size, random_state=0
    ).split(X, Y)
    found = list(splits)
    assert len(found) == 4
    for train, test in found:
        assert not set(train) & set(test)
        assert len(train) + len(test) == len(X)
        assert (Y[train].sum(axis=0)[Y.sum(axis=0) > 0] > 0).all()
        wanted = test_size if test_size > 1 else test_size * len(X)
        # All but one sample of a rare label may have been due to the test samples.
        assert 0 <= wanted - len(test) <= (3 if test_size < 0.9 else 30)
    assert len({tuple(test) for _, test in found}) == 4


def test_sizes_that_leave_samples_out():
    splitter = MultiLabelStratifiedShuffleSplit(
        1, test_size=0.2, train_size=0.5, random_state=0
    )
    train, test = next(splitter.split(X, Y))
    assert not set(train) & set(test)
    assert abs(len(train) - 150) <= 5
    assert abs(len(test) - 60) <= 5


def test_arrays_are_split_alike_and_keep_their_types():
    parts = train_test_split(
        X, names_of(Y), sp.coo_array(Y), random_state=0, test_size=0.2
    )
    X_train, X_test, names, _, Y_train, Y_test = parts
    assert isinstance(names, list)
    assert Y_train.format == Y_test.format == "csr"
    assert abs(len(X_test) - 60) <= 3
    np.testing.assert_array_equal(Y[X_train.ravel()].toarray(), Y_train.toarray())
    np.testing.assert_array_equal(Y[X_test.ravel()].toarray(), Y_test.toarray())
    assert names == names_of(Y_train)


def test_parameters_of_train_test_split():
    def test_part(*arrays, **parameters):
        return train_test_split(*arrays, **parameters)[1].ravel().tolist()

    found = test_part(X, Y, random_state=0)
    assert abs(len(found) - 75) <= 3
    assert found == test_part(X, stratify=Y, random_state=0)
    assert found != test_part(X, Y, random_state=1)
    assert found != test_part(X, Y, stratify=X.ravel() % 2, random_state=0)
    assert abs(len(test_part(X, Y, train_size=0.9, random_state=0)) - 30) <= 3


def test_errors_of_train_test_split():
    with pytest.raises(ValueError, match="got no arrays"):
        train_test_split()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        train_test_split(X[1:], Y)
    with pytest.raises(ValueError, match=r"arrays\[-1\] has 60 columns"):
        train_test_split(X, Y * 2)
    with pytest.raises(ValueError, match="stratify has 60 columns"):
        train_test_split(X, stratify=Y * 2)
    with pytest.raises(ValueError, match="test_size=300 should be either positive"):
        train_test_split(X, Y, test_size=300)


# ------------------------------------------------------------ within scikit-learn
@pytest.mark.parametrize("form", [sp.csr_matrix, names_of], ids=["sparse", "lists"])
def test_searches_take_the_splitter(form):
    features = Y.toarray() + np.random.default_rng(0).normal(size=Y.shape)
    search = GridSearchCV(
        MHEMultiLabelClassifier(model="linear", random_state=0),
        {"linear__C": [0.5, 1.0]},
        scoring=get_scorer("precision@1"),
        cv=MultiLabelStratifiedKFold(2),
        error_score="raise",
    ).fit(features, form(Y))
    assert search.n_splits_ == 2
    assert search.best_score_ > 0.3
