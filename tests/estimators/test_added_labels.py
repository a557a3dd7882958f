"""Labels that are added after fitting: scores, names and bad input."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from error_checks import check_error
from label_feature_problems import (
    N_OLD,
    SCORE_WITH,
    STRATEGIES,
    C,
    D,
    assert_same_predictions,
    both,
    encoder_scores,
    fit_old,
    make,
    make_data,
    models,
    old_data,
    score_with,
    strategies,
    weights,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skmhe import LinearTree, MHEClassifier, MHEMultiLabelClassifier
from skmhe.nn.late_search import LATE_ODDS

# ------------------------------------------------------------ scores


def check_agreement(clf, X):
    """Check all methods of prediction against the probabilities, and return these."""
    p = clf.predict_proba(X)
    n_labels = len(clf.classes_)
    assert p.shape == (X.shape[0], n_labels)
    log_p, decision = clf.predict_log_proba(X), clf.decision_function(X)
    assert_allclose(np.exp(log_p), p, rtol=1e-10)
    labels, scores = clf.predict_topk(X, k=n_labels)
    everything = np.tile(np.arange(n_labels), (len(p), 1))
    assert_array_equal(np.sort(labels, axis=1), everything)
    assert_allclose(scores, np.take_along_axis(p, labels, 1), rtol=5e-3)
    predicted = clf.predict(X)
    if isinstance(clf, MHEClassifier):
        assert_allclose(p.sum(1), 1)
        assert_array_equal(decision, log_p)
        assert_array_equal(predicted, p.argmax(1))
        return p
    assert_allclose(decision, log_p - np.log1p(-p), rtol=1e-6, atol=1e-9)
    if sp.issparse(predicted):
        # From sums in float32: those of 0.5 but for rounding may be either.
        sure = np.abs(decision) > 1e-4
        assert sure.mean() > 0.99
        assert_array_equal(predicted.toarray()[sure], (p > 0.5)[sure])
    else:
        assert_array_equal(predicted, p > 0.5)
    return p


@both
@strategies
@models
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_all_predictions_agree(cls, strategy, model, container):
    X, _, Z = make_data(cls)
    X = container(X)
    clf = fit_old(cls, strategy, model=model)
    before = clf.predict_proba(X)
    assert clf.add_labels(Z[N_OLD:]) is clf
    assert_array_equal(clf.classes_, np.arange(C))
    assert clf.head_sizes_ == clf.codec_.head_sizes
    for what in SCORE_WITH:
        p = check_agreement(score_with(clf, what), X)
    p = score_with(clf, "both").predict_proba(X)[:, :N_OLD]
    if cls is MHEClassifier:
        p, before = (q / q.sum(1, keepdims=True) for q in (p, before))
    assert_allclose(p, before, rtol=1e-6, atol=1e-12)


@strategies
@models
def test_sparse_indicators_agree(strategy, model):
    X, Y, Z = old_data(MHEMultiLabelClassifier)
    clf = make(MHEMultiLabelClassifier, strategy, model=model, max_iter=20)
    clf.fit(X, sp.csr_matrix(Y), label_features=Z[:N_OLD]).add_labels(Z[N_OLD:])
    X, Y, _ = make_data(MHEMultiLabelClassifier)
    for what in SCORE_WITH:
        check_agreement(score_with(clf, what), X)
    predicted = score_with(clf, "both").predict(X)
    assert isinstance(predicted, sp.csr_matrix)
    assert predicted.nnz


@both
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_trees_of_linear_classifiers_shortlist_the_others_only(
    cls, container, monkeypatch
):
    # With "sampling" of many labels, these are found by the tree's beam.
    monkeypatch.setattr("skmhe.estimators.fitting.n_tree_levels", lambda work: 2)
    X, _, Z = make_data(cls)
    X = container(X)
    params = {"linear": LinearTree(beam_width=2), "max_iter": 30}
    clf = fit_old(cls, "sampling", model="both", **params)
    clf.add_labels(Z[N_OLD:])
    for what in ("both", "classifier"):
        p = score_with(clf, what).predict_proba(X)
        labels, scores = clf.predict_topk(X, k=5)
        found = np.take_along_axis(p, labels, 1)
        # What is found has its score; all added labels are looked at, so that none is
        # left out that is better than the last one found.
        if cls is MHEMultiLabelClassifier:
            assert_allclose(scores, found, rtol=5e-3)
        left_out = np.ones_like(p, bool)
        np.put_along_axis(left_out, labels, False, 1)
        missed = np.where(left_out, p, 0)[:, N_OLD:].max(1)
        assert (missed <= found[:, -1] * (1 + 1e-3)).all()
        assert (labels >= N_OLD).any()


def cosines(X, Z):
    X, Z = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (X, Z))
    return X @ Z.T


def with_late(p, told):
    """Return probabilities of all labels by those of known ones, and what is told."""
    per_sample = old_data(MHEMultiLabelClassifier)[1].sum(1).mean()
    told = np.exp(told / 2)
    multilabel = not np.allclose(p.sum(1), 1)
    odds = told[:, N_OLD:] / told[:, :N_OLD].sum(1, keepdims=True)
    odds *= per_sample if multilabel else LATE_ODDS
    if multilabel:
        return np.hstack([p, odds / (1 + odds)])
    odds *= 1 - p.max(1, keepdims=True)
    return np.hstack([p, odds]) / (1 + odds.sum(1, keepdims=True))


@both
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", ["both", "network"])
@pytest.mark.parametrize("loss_weight", [0.1, 0.0])
def test_features_tell_the_odds_of_new_labels(cls, shared, model, loss_weight):
    X, _, Z = make_data(cls)
    params = {
        "label_encoder__backbone": "shared" if shared else None,
        "label_encoder__loss_weight": loss_weight,
    }
    clf, has_encoder = fit_old(cls, model=model, **params), loss_weight > 0
    parts = SCORE_WITH if has_encoder else SCORE_WITH[:2]
    before = {what: score_with(clf, what).predict_proba(X) for what in parts}
    clf.add_labels(Z[N_OLD:])
    scale = 20.0 if cls is MHEClassifier else 5.0
    texts = scale * cosines(X, Z) * shared
    encoder = encoder_scores(clf, X, Z) if has_encoder else np.zeros_like(texts)
    told = {"both": encoder + texts, "classifier": texts}
    for what in SCORE_WITH[:2]:
        found = score_with(clf, what).predict_proba(X)
        assert_allclose(found, with_late(before[what], told[what]), rtol=2e-4)
    if not has_encoder:
        return
    # The encoder alone scores all labels in the same way.
    found = score_with(clf, "encoder").predict_log_proba(X)
    if cls is MHEClassifier:
        expected = encoder - encoder[:, :1]
        assert_allclose(found - found[:, :1], expected, rtol=1e-3, atol=4e-3)
    else:
        found = found - np.log1p(-np.exp(found))
        assert_allclose(found, encoder - np.log(C), rtol=1e-3, atol=4e-3)


@pytest.mark.parametrize("n_more", [0, 1, 4])
def test_samples_with_many_labels_have_more_new_ones(n_more):
    # By all samples that training has seen, in one call or several.
    X, Z, Y = np.eye(20), np.eye(12, 20), np.eye(20, 10, dtype=int)
    Y[10:, :n_more] = 1
    clf = make(MHEMultiLabelClassifier, label_encoder__loss_weight=0.0)
    in_parts = clone(clf).partial_fit(X[:5], Y[:5], label_features=Z[:10])
    for fitted in (
        clf.fit(X, Y, label_features=Z[:10]),
        in_parts.partial_fit(X[5:], Y[5:]),
    ):
        p = fitted.add_labels(Z[10:]).predict_proba(X)[15:, 10:]
        odds = (0.5 + n_more / 2) / 10  # nothing tells labels apart
        assert_allclose(p, odds / (1 + odds), rtol=1e-4)


def test_new_labels_where_samples_had_none():
    X, Z, Y = np.eye(20), np.eye(12, 20), np.zeros((20, 10), int)
    clf = make(MHEMultiLabelClassifier, label_encoder__loss_weight=0.0)
    clf.partial_fit(X, Y, label_features=Z[:10])
    assert (clf.add_labels(Z[10:]).predict_proba(X)[15:, 10:] < 0.05).all()


def test_the_scale_of_centroids_is_that_of_texts():
    X, _, Z = make_data()
    clf = score_with(fit_old(strategy="sampling", model="both"), "classifier")
    before = clf.predict_proba(X)
    found = clf.add_labels(Z[N_OLD:]).predict_proba(X)
    scale = np.exp(weights(clf)["log_centroid_scale"])
    assert scale != pytest.approx(20, rel=1e-3)
    assert_allclose(found, with_late(before, scale * cosines(X, Z)), rtol=2e-4)


@both
@strategies
def test_new_labels_are_found_by_their_words(cls, strategy):
    X, y, Z = make_data(cls)
    clf = fit_old(cls, strategy, hidden_layer_sizes=(32,), max_iter=30)
    clf.add_labels(Z[N_OLD:])
    new = np.eye(C)[y] if cls is MHEClassifier else y.copy()
    new[:, :N_OLD] = 0
    rows = new.any(1)
    labels, _ = clf.predict_topk(X[rows], k=3)
    found = np.take_along_axis(new[rows], labels, 1).any(1)
    assert found.mean() > 0.3  # by chance 1/8


@both
def test_rows_of_zeros_are_hardly_found(cls):
    X, _, _ = make_data(cls)
    clf = fit_old(cls, max_iter=20).add_labels(np.zeros((1, D)))
    p = clf.predict_proba(X)
    assert p[:, N_OLD].max() < p[:, :N_OLD].max(1).min()


@pytest.mark.parametrize("known", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("added", [np.asarray, sp.csr_matrix])
def test_containers_of_features(known, added):
    X, y, Z = old_data(MHEClassifier)
    clf = make().fit(X, y, label_features=known(Z[:N_OLD])).add_labels(added(Z[N_OLD:]))
    expected = make().fit(X, y, label_features=known(Z[:N_OLD]))
    assert_same_predictions(clf, expected.add_labels(known(Z[N_OLD:])), X)


# ------------------------------------------------------------ names


def named(y):
    return np.array(["b", "d", "f", "h"])[y]


def test_names_are_sorted_among_the_others():
    X, y, Z = make_data()
    rows = y < 4
    clf = make().fit(X[rows], named(y[rows]), label_features=Z[:4])
    before = clf.predict_proba(X)
    clf.add_labels(Z[4:7], labels=["e", "a", "longer"])
    assert clf.classes_.tolist() == ["a", "b", "d", "e", "f", "h", "longer"]
    p = clf.predict_proba(X)
    old = p[:, [1, 2, 4, 5]]
    assert_allclose(old / old.sum(1, keepdims=True), before, rtol=1e-6)
    assert set(clf.predict(X)) > {"e", "a"}
    frame = pd.DataFrame(Z[7:9], index=["z", "c"])
    clf.add_labels(frame)
    assert clf.classes_.tolist() == ["a", "b", "c", "d", "e", "f", "h", "longer", "z"]
    q = clf.predict_proba(X)[:, [0, 1, 3, 4, 5, 6, 7]]
    assert_allclose(q / q.sum(1, keepdims=True), p, rtol=1e-5)


def test_integers_go_on():
    X, y, Z = make_data()
    clf = make().fit(X, 10 + 2 * y.astype(np.int32), label_features=Z)
    clf.add_labels(Z[:2])
    assert clf.classes_[-3:].tolist() == [56, 57, 58]
    clf.add_labels(Z[:2], labels=[-3, 11])
    assert clf.classes_[:3].tolist() == [-3, 10, 11]
    assert clf.classes_.dtype == np.int32


@pytest.mark.parametrize("large", [2**63 - 1, 2**63, 2**64])
@pytest.mark.parametrize("form", [list, lambda v: np.array(v, object)])
def test_integers_of_any_size(large, form):
    X, y = np.eye(8), np.arange(8) % 4
    clf = MHEClassifier(max_iter=1, random_state=0, combination="equal")
    clf.fit(X, y, label_features=X[:4]).add_labels(X[4:6], form([large, 7]))
    assert clf.classes_.tolist() == [0, 1, 2, 3, 7, large]
    labels = clf.predict_topk(X, k=6)[0]
    assert set(labels[0].tolist()) == {0, 1, 2, 3, 7, large}
    # The next ones go on, though no type of integers may hold them.
    clf.add_labels(X[6:7]).add_labels(X[7:])
    assert clf.classes_.tolist()[-2:] == [large + 1, large + 2]
    with pytest.raises(ValueError, match=r"labels=\[1.5\] cannot be of type"):
        clf.add_labels(X[:1], [1.5])


def test_integers_that_no_type_holds_together():
    X, y = np.eye(8), (np.arange(8) % 4).astype(np.uint64) + 2**63
    clf = MHEClassifier(max_iter=1, random_state=0).fit(X, y, label_features=X[:4])
    clf.add_labels(X[4:5], [-1])
    assert clf.classes_.tolist() == [-1, *range(2**63, 2**63 + 4)]
    clf.partial_fit(X, np.where(np.arange(8) == 4, -1, y.astype(object)))


def test_lists_of_labels():
    X, Y, Z = old_data(MHEMultiLabelClassifier)
    lists = [[f"l{i:02d}" for i in np.flatnonzero(row)] for row in Y]
    clf = make(MHEMultiLabelClassifier, max_iter=20)
    clf.fit(X, lists, label_features=Z[:N_OLD]).add_labels(Z[N_OLD:], list("wxyz"))
    assert clf.classes_[-4:].tolist() == list("wxyz")
    p = clf.predict_proba(X)
    for row, labels in zip(p, clf.predict(X), strict=True):
        assert list(labels) == clf.classes_[row > 0.5].tolist()


@both
def test_fit_forgets_them_and_clones_do_not_have_them(cls):
    X, y, Z = old_data(cls)
    clf = fit_old(cls).add_labels(Z[N_OLD:])
    assert not hasattr(clone(clf), "classes_")
    with pytest.raises(NotFittedError):
        clone(clf).add_labels(Z)
    clf.fit(X, y, label_features=Z[:N_OLD])
    assert_same_predictions(clf, fit_old(cls), X)


# ------------------------------------------------------------ errors

ONE = np.ones((1, D))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.ones((1, 9)),), "label_features has 9 features, but those .* have 40"),
        ((np.full((1, D), np.nan),), "label_features contains NaN"),
        ((np.empty((0, D)),), "Found array with 0 sample"),
        ((ONE, [3]), r"labels=\[3\] has 3, which is repeated or known already"),
        (
            (np.ones((2, D)), [30, 30]),
            "has 30, which is repeated .* each label can be added once",
        ),
        ((ONE, [30, 31]), r"labels has shape \(2,\), but label_features has 1 rows"),
        ((ONE, ["a"]), "labels of type str.* with those of type number"),
        ((ONE, [1.5]), r"labels=\[1.5\] cannot be of type int64.*y.astype\(float\)"),
        ((ONE, [np.inf]), r"labels=\[inf\] cannot be of type int64"),
    ],
)
def test_bad_labels(arguments, match):
    check_error(fit_old(), match, lambda clf: clf.add_labels(*arguments))


def test_more_bad_labels():
    X, y, Z = make_data()
    clf = make().fit(X, y)
    match = r"call fit\(X, y, label_features=Z\) first"
    check_error(clf, match, lambda clf: clf.add_labels(Z))
    rows = y < 4
    clf = make().fit(X[rows], named(y[rows]), label_features=Z[:4])
    match = "labels=None, but the known labels are no"
    check_error(clf, match, lambda clf: clf.add_labels(Z))
    clf = fit_old(MHEMultiLabelClassifier)
    match = r"which are \[20\]: leave labels=None"
    check_error(clf, match, lambda clf: clf.add_labels(ONE, [25]))
    clf.add_labels(pd.DataFrame(ONE, index=["any"]))
    assert len(clf.classes_) == N_OLD + 1


def test_the_beam_may_be_changed():
    X, _, Z = make_data()
    clf = fit_old(strategy="cascade").add_labels(Z[N_OLD:])
    wide = clf.predict_topk(X, k=5)
    narrow = clf.set_params(strategy__beam_width=1).predict_topk(X, k=5)
    assert not np.array_equal(wide[0], narrow[0])
    clf.set_params(strategy=STRATEGIES["cascade"])
    assert_array_equal(clf.predict_topk(X, k=5)[0], wide[0])


@pytest.mark.parametrize("unit", ["D", "h", "ns"])
def test_added_dates(unit):
    days = np.datetime64("2024-01-01") + np.arange(8) % 4
    clf = MHEClassifier(max_iter=1, random_state=0)
    clf.fit(np.eye(8), days, label_features=np.eye(4, 8))
    new = np.datetime64("2025-01-01", unit)
    clf.add_labels(np.ones((1, 8)), [new])
    assert_array_equal(clf.classes_, [*days[:4], new])


@pytest.mark.parametrize("name", [None, np.nan])
def test_added_labels_without_a_name(name):
    clf = MHEClassifier(max_iter=1, random_state=0)
    clf.fit(np.eye(4), list("abcd"), label_features=np.eye(4))
    with pytest.raises(ValueError, match=r"labels has .* at place 1, but every"):
        clf.add_labels(np.ones((2, 4)), ["e", name])


@pytest.mark.parametrize("labels", [{"e", "f"}, {"e": 1, "f": 2}])
def test_added_labels_without_an_order(labels):
    clf = MHEClassifier(max_iter=1, random_state=0)
    clf.fit(np.eye(4), list("abcd"), label_features=np.eye(4))
    with pytest.raises(ValueError, match="pass a list, for example sorted"):
        clf.add_labels(np.ones((2, 4)), labels)


def test_tokens_are_not_compared_as_numbers():
    # Without an encoder, nothing is known of them.
    class Words(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(100, 8)

        def forward(self, ids):
            return self.table(ids).mean(1)

    rng = np.random.RandomState(0)
    y = np.arange(60) % 6
    X = rng.randint(20, 100, size=(60, 5))
    X[:, 0] = y
    Z = np.tile(np.arange(8)[:, None], (1, 5))
    Z[6:] = 90
    clf = make(backbone=Words, max_iter=5, label_encoder__loss_weight=0.0)
    before = clf.fit(X, y, label_features=Z[:6]).predict_proba(X)
    found = clf.add_labels(Z[6:]).predict_proba(X)
    odds = LATE_ODDS / 6 * (1 - before.max(1, keepdims=True))
    expected = np.hstack([before, odds, odds]) / (1 + 2 * odds)
    assert_allclose(found, expected, rtol=1e-4)
