"""Iterative stratification, and the splitters that are made of it."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    ShuffleSplit,
    cross_val_predict,
)
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
    with pytest.raises(ValueError, match=r"n_splits=5 is larger than .* n_samples=4"):
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
        if test_size != 0.9:
            assert len(test) == wanted
        else:  # samples of rare labels must be training samples
            assert 0 < wanted - len(test) <= 30
    assert len({tuple(test) for _, test in found}) == 4


def test_sizes_that_leave_samples_out():
    splitter = MultiLabelStratifiedShuffleSplit(
        1, test_size=0.2, train_size=0.5, random_state=0
    )
    train, test = next(splitter.split(X, Y))
    assert not set(train) & set(test)
    assert (len(train), len(test)) == (150, 60)


@given(
    seed=st.integers(0, 10_000),
    sizes=st.sampled_from([(0.1, None), (0.5, None), (0.9, None), (0.3, 0.2)]),
    n_samples=st.integers(10, 60),
)
def test_sizes_are_met_as_far_as_labels_allow(seed, sizes, n_samples):
    indicator = long_tailed(n_samples, n_labels=30, seed=seed)
    dense, counts = indicator.toarray(), indicator.sum(axis=0)
    parts = {"test_size": sizes[0], "train_size": sizes[1], "random_state": seed}
    [(wanted_train, wanted_test)] = ShuffleSplit(1, **parts).split(dense)
    if dense[:, counts == 1].any(axis=1).all():
        return
    splits = MultiLabelStratifiedShuffleSplit(1, **parts).split(dense, indicator)
    train, test = next(splits)
    in_train = dense[train].sum(axis=0)
    assert (in_train[counts > 0] > 0).all()
    assert len(train) >= len(wanted_train)
    assert len(test) <= len(wanted_test)
    if len(test) < len(wanted_test):
        assert len(train) + len(test) == n_samples
    if len(test) < len(wanted_test) or len(train) > len(wanted_train):
        # Each training sample is the last one of a label there.
        assert dense[train][:, in_train == 1].any(axis=1).all()


def test_rare_labels_alone_have_test_samples():
    # The smaller part has less than half a sample of each of them.
    y = np.repeat(np.arange(100), 3)
    train, test = train_test_split(y, stratify=y, test_size=0.1, random_state=0)
    assert (len(train), len(test)) == (270, 30)
    assert len(np.unique(train)) == 100


def test_arrays_are_split_alike_and_keep_their_types():
    parts = train_test_split(
        X, names_of(Y), sp.coo_array(Y), random_state=0, test_size=0.2
    )
    X_train, X_test, names, _, Y_train, Y_test = parts
    assert isinstance(names, list)
    assert Y_train.format == Y_test.format == "csr"
    assert len(X_test) == 60
    np.testing.assert_array_equal(Y[X_train.ravel()].toarray(), Y_train.toarray())
    np.testing.assert_array_equal(Y[X_test.ravel()].toarray(), Y_test.toarray())
    assert names == names_of(Y_train)


def test_parameters_of_train_test_split():
    def test_part(*arrays, **parameters):
        return train_test_split(*arrays, **parameters)[1].ravel().tolist()

    found = test_part(X, Y, random_state=0)
    assert len(found) == 75
    assert found == test_part(X, stratify=Y, random_state=0)
    assert found != test_part(X, Y, random_state=1)
    assert found != test_part(X, Y, stratify=X.ravel() % 2, random_state=0)
    assert len(test_part(X, Y, train_size=0.9, random_state=0)) == 30


def test_errors_of_train_test_split():
    with pytest.raises(ValueError, match="got no arrays"):
        train_test_split()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        train_test_split(X[1:], Y)
    with pytest.raises(ValueError, match=r"arrays\[-1\] has 60 columns"):
        train_test_split(X, Y * 2)
    texts = [f"text {i % 9}" for i in range(len(X))]
    weights = np.linspace(0, 1, len(X))
    for last, message in [
        (texts, r"arrays\[-1\] has one value per sample, as 'text 0' is"),
        (X.ravel() % 3, r"arrays\[-1\] has one value per sample, as 0 is"),
        (weights, "continuous"),
        (X * [0.5, 2.0], r"arrays\[-1\] has 2 columns"),
    ]:
        with pytest.raises(ValueError, match=f"{message}.* Otherwise pass them as str"):
            train_test_split(X, Y, last)
        assert len(train_test_split(X, Y, last, stratify=Y)) == 6
    with pytest.raises(ValueError, match="stratify has 60 columns"):
        train_test_split(X, stratify=Y * 2)
    with pytest.raises(ValueError, match="test_size=300 should be either positive"):
        train_test_split(X, Y, test_size=300)


def test_samples_of_labels_of_their_own_cannot_be_split():
    with pytest.raises(ValueError, match=r"There is no test sample: .* as y or stra"):
        train_test_split(X, stratify=np.arange(len(X)))


@pytest.mark.parametrize(
    "splitter", [MultiLabelStratifiedKFold(2), MultiLabelStratifiedShuffleSplit(2)]
)
def test_groups_are_ignored_with_a_warning(splitter):
    name = type(splitter).__name__
    with pytest.warns(UserWarning, match=f"groups parameter is ignored by {name}"):
        list(splitter.split(X, Y, groups=X.ravel()))


@pytest.mark.parametrize("form", ["bsr", "coo", "csc", "csr", "dia", "dok", "lil"])
def test_every_sparse_format_is_split_alike(form):
    expected = train_test_split(X[:60], Y[:60, :30], random_state=0)[1]
    for container in (sp.csr_array, sp.csr_matrix):
        targets = container(Y[:60, :30]).asformat(form)
        found = train_test_split(X[:60], targets, random_state=0)
        np.testing.assert_array_equal(found[1], expected)
        assert isinstance(found[2], container)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_tables_are_split_as_tables(library):
    frames = pytest.importorskip(library)
    occurring = Y[:, np.flatnonzero(Y.sum(axis=0))]
    given = frames.DataFrame({"x": X.ravel()}), frames.Series(names_of(occurring))
    parts = train_test_split(*given, random_state=0)
    assert all(type(part) is type(given[i // 2]) for i, part in enumerate(parts))
    expected = train_test_split(X, occurring, random_state=0)[1]
    np.testing.assert_array_equal(parts[1]["x"], expected.ravel())


def test_targets_without_labels_or_differences_are_split():
    for targets in (sp.csr_array(Y.shape), [[]] * len(X), np.tile([1, 0, 1], (300, 1))):
        train, test = train_test_split(X, stratify=targets, random_state=0)
        assert (len(train), len(test)) == (225, 75)
        folds = MultiLabelStratifiedKFold(7, shuffle=True, random_state=0)
        sizes = [len(test) for _, test in folds.split(X, targets)]
        assert set(sizes) == {42, 43}


def test_as_many_folds_as_samples_have_one_each():
    for n_samples in (2, 17):
        folds = MultiLabelStratifiedKFold(n_samples).split(X[:n_samples], Y[:n_samples])
        assert [len(test) for _, test in folds] == [1] * n_samples


def test_random_states_go_on_or_start_again():
    def tests(random_state):
        cv = MultiLabelStratifiedShuffleSplit(2, random_state=random_state)
        return [[test.tolist() for _, test in cv.split(X, Y)] for _ in range(2)]

    first, second = tests(0)
    assert first == second
    assert tests(np.random.RandomState(0)) == tests(np.random.RandomState(0))
    for random_state in (np.random.RandomState(0), None):
        first, second = tests(random_state)
        assert first != second


# ------------------------------------------------------------ within scikit-learn
def test_predictions_of_cross_validation_are_sparse():
    clf = MHEMultiLabelClassifier(model="linear", random_state=0)
    features = Y.toarray() + np.random.default_rng(0).normal(size=Y.shape)
    cv = MultiLabelStratifiedKFold(2)
    found = cross_val_predict(clf, features, Y, cv=cv)
    train, test = next(cv.split(features, Y))
    expected = clf.fit(features[train], Y[train]).predict(features[test])
    np.testing.assert_array_equal(found[test].toarray(), expected.toarray())


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
