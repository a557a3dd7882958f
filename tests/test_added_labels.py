"""Labels that come after fitting: scores, codes, further training and bad input."""

import pickle
import re

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from test_errors import check_error
from test_label_features import C, D, both, make, make_data

from skmhe import LabelCodec, MHEClassifier, MHEMultiLabelClassifier
from skmhe._network import rows_to_tensor
from skmhe.nn import CascadeHead, FullHead, Offsets, SamplingHead

N_OLD = 20  # labels 20..23 come later
strategies = pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
models = pytest.mark.parametrize("model", ["both", "network"])


def old_data(cls):
    """Return the samples whose labels are all known at first, and all features."""
    X, y, Z = make_data(cls)
    if cls is MHEClassifier:
        kept = y < N_OLD
        return X[kept], y[kept], Z
    kept = ~y[:, N_OLD:].any(1)
    return X[kept], y[kept, :N_OLD], Z


def fit_old(cls, **params):
    X, y, Z = old_data(cls)
    return make(cls, **params).fit(X, y, label_features=Z[:N_OLD])


# ------------------------------------------------------------ heads


class Added(Offsets):
    """Adds labels of given scores, and nothing else."""

    def __init__(self, scores):
        self.scores, self.n_added = scores, scores.shape[1]

    def join(self, scores, groups=None):
        return scores

    def added(self):
        return self.scores

    def children(self, level, samples, nodes):
        return self.scores.new_zeros(len(samples), 1)

    def take(self, rows):
        return Added(self.scores[rows])


class Groups(Added):
    """Knows in which groups the best labels are."""

    def groups(self):
        return torch.tensor([[0, 2]]).expand(len(self.scores), 2)


HEADS = {
    "full": lambda multilabel: FullHead(5, 11, multilabel),
    "sampling": lambda multilabel: SamplingHead(5, 11, 4, 2, multilabel),
    "cascade": lambda multilabel: CascadeHead(5, (4, 3), 11, multilabel, beam_width=2),
}


@strategies
@pytest.mark.parametrize("multilabel", [False, True])
def test_heads_with_more_labels(strategy, multilabel):
    torch.manual_seed(0)
    head, features = HEADS[strategy](multilabel), torch.randn(7, 5)
    own = head.log_prob(features)
    added = 2 * torch.randn(7, 3)
    with head.shifted(Added(added)):
        log_prob = head.log_prob(features)
        labels, scores = head.topk(features, 14, exact=True)
        few, few_scores = head.topk(features, 3)
        samples, above = head.above(features, -2.0)
        with pytest.raises(ValueError, match=re.escape("k must be in 1..14, got 15")):
            head.topk(features, 15)
    assert log_prob.shape == (7, 14)
    if multilabel:
        assert_allclose(log_prob[:, :11].detach(), own.detach(), rtol=1e-5)
        expected = torch.nn.functional.logsigmoid(added)
        assert_allclose(log_prob[:, 11:].detach(), expected, rtol=1e-5)
    else:
        assert_allclose(log_prob.exp().sum(1).detach(), 1, rtol=1e-5)
        # The others keep their shares among themselves, and so do the new ones.
        rest = log_prob[:, :11] - own
        assert_allclose(rest.detach(), rest[:, :1].expand(-1, 11).detach(), atol=1e-5)
        gained = log_prob[:, 11:] - added
        assert_allclose(
            gained.detach(), gained[:, :1].expand(-1, 3).detach(), atol=1e-5
        )
        if strategy != "cascade":
            both_scores = torch.cat([head.weights[0] @ features.T, added.T])
            expected = both_scores.T.log_softmax(1).detach()
            assert_allclose(log_prob.detach(), expected, atol=1e-5)
    best = log_prob.sort(dim=1, descending=True)
    assert_array_equal(labels, best.indices)
    assert_allclose(scores.detach(), best.values.detach(), rtol=1e-5)
    found = log_prob.gather(1, few)
    assert_allclose(few_scores.detach(), found.detach(), rtol=1e-4)
    assert (few >= 11).any()
    expected = (log_prob > -2.0).nonzero()
    assert_array_equal(torch.stack([samples, above], 1), expected)


def test_groups_and_more_labels():
    torch.manual_seed(0)
    head, features = SamplingHead(5, 11, 4, 2, multilabel=True), torch.randn(7, 5)
    added = torch.randn(7, 3)
    offsets = Groups(added)
    offsets.join = lambda scores, groups=None: scores
    with head.shifted(Added(added)):
        log_prob = head.log_prob(features)
    with head.shifted(offsets):
        labels, scores = head.topk(features, 4)
    log_prob[:, 4:8] = -torch.inf  # group 1
    best = log_prob.topk(4, dim=1)
    assert_array_equal(labels, best.indices)
    assert_allclose(scores.detach(), best.values.detach(), rtol=1e-5)


def test_offsets_without_labels_to_add_say_so():
    with pytest.raises(NotImplementedError, match="Offsets adds no labels"):
        Offsets().added()


# ------------------------------------------------------------ scores


@both
@strategies
@models
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_scores_agree_in_all_predictions(cls, strategy, model, container):
    X, _, Z = make_data(cls)
    X = container(X)
    clf = fit_old(cls, strategy=strategy, model=model, beam_width=C)
    before = clf.predict_proba(X)
    assert clf.add_labels(Z[N_OLD:]) is clf
    assert_array_equal(clf.classes_, np.arange(C))
    for scoring in ("both", "classifier", "encoder"):
        p = clf.set_params(scoring=scoring).predict_proba(X)
        assert p.shape == (len(before), C)
        labels, scores = clf.predict_topk(X, k=C)
        order = np.sort(labels, axis=1)
        assert_array_equal(order, np.tile(np.arange(C), (len(p), 1)))
        found = np.take_along_axis(p, labels, 1)
        beam = cls is MHEMultiLabelClassifier and (strategy, model) == (
            "sampling",
            "both",
        )
        if not beam:  # which leaves labels outside of it at its floor
            assert_allclose(scores, found, rtol=5e-3)
        if cls is MHEClassifier:
            assert_allclose(p.sum(1), 1)
            assert_array_equal(clf.predict(X), p.argmax(1))
        else:
            assert_array_equal(clf.predict(X), p > 0.5)
    p = clf.set_params(scoring="both").predict_proba(X)[:, :N_OLD]
    if cls is MHEClassifier:
        p, before = (q / q.sum(1, keepdims=True) for q in (p, before))
    assert_allclose(p, before, rtol=1e-6, atol=1e-12)


def parts(clf, X, Z):
    """Return the encoder's scores and the cosines of samples and new labels."""
    network = clf._network().eval()
    layer = network.backbone.layers[0]
    with torch.inference_mode():
        samples = network.encoder.embed_samples(rows_to_tensor(X, "cpu"), layer)
        labels = network.encoder.embed_labels(rows_to_tensor(Z, "cpu"), layer)
        encoder = (samples @ labels.T * network.encoder.log_scale.exp()).numpy()
    X, Z = (A / np.linalg.norm(A, axis=1, keepdims=True) for A in (X, Z))
    return encoder, X @ Z.T


@both
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("model", ["both", "network"])
def test_scores_are_the_sum_of_what_is_known(cls, shared, model):
    X, _, Z = make_data(cls)
    clf = fit_old(cls, model=model, share_encoder=shared, linear_weight=0.5)
    clf.add_labels(Z[N_OLD:])
    multilabel = cls is MHEMultiLabelClassifier
    bias = np.median(clf.weights_["head.biases.0"]) - (model == "both") * 0.5
    encoder, cosines = parts(clf, X, Z[N_OLD:])
    text = (5.0 if multilabel else 20.0) * cosines * shared
    for scoring, expected in {
        "both": bias + encoder + text,
        "classifier": bias + text,
        "encoder": encoder,
    }.items():
        log_p = clf.set_params(scoring=scoring).predict_log_proba(X)
        found = log_p[:, N_OLD:]
        if not multilabel:  # up to the softmax's constant, and its temperature
            found = found - found[:, :1]
            expected = expected - expected[:, :1]
            calm = 1.5 if scoring == "both" else 1.0
        else:
            found = found - np.log1p(-np.exp(found))
            weight = 0.5 * (model == "both") * (scoring != "encoder")
            expected = expected / (1 + weight) + 0.7 * weight
            calm = 1.0
            if scoring == "both":
                expected = 0.8 * expected - 3.0
            if scoring == "encoder":
                expected = 0.8 * expected - np.log(N_OLD)
        assert_allclose(found, expected / calm, rtol=1e-3, atol=2e-3)


def test_the_scale_of_centroids_is_that_of_texts():
    X, _, Z = make_data()
    clf = fit_old(
        MHEClassifier, strategy="sampling", model="both", scoring="classifier"
    )
    clf.add_labels(Z[N_OLD:])
    found = clf.predict_log_proba(X)[:, N_OLD:]
    _, cosines = parts(clf, X, Z[N_OLD:])
    scale = np.exp(clf.weights_["log_centroid_scale"]) / (1.1 + 0.3)
    expected = scale * cosines
    assert_allclose(
        found - found[:, :1], expected - expected[:, :1], rtol=1e-3, atol=2e-3
    )


@both
def test_new_labels_are_found_by_their_words(cls):
    X, y, Z = make_data(cls)
    clf = fit_old(cls, hidden_layer_sizes=(32,), max_iter=30).add_labels(Z[N_OLD:])
    y = y if cls is MHEClassifier else y.argmax(1)
    rows = y >= N_OLD
    labels, _ = clf.predict_topk(X[rows], k=3)
    assert (labels == y[rows, None]).any(1).mean() > 0.5  # by chance 1/8


@both
def test_rows_of_zeros_are_hardly_found(cls):
    X, _, _ = make_data(cls)
    clf = fit_old(cls, max_iter=20).add_labels(np.zeros((1, D)))
    p = clf.predict_proba(X)
    assert p[:, N_OLD].max() < p[:, :N_OLD].max(1).min()


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
    assert_allclose(q / q.sum(1, keepdims=True), p, rtol=1e-6)


def test_integers_go_on():
    X, y, Z = make_data()
    clf = make().fit(X, 10 + 2 * y.astype(np.int32), label_features=Z)
    clf.add_labels(Z[:2])
    assert clf.classes_[-3:].tolist() == [56, 57, 58]
    clf.add_labels(Z[:2], labels=[-3, 11])
    assert clf.classes_[:3].tolist() == [-3, 10, 11]
    assert clf.classes_.dtype == np.int32


def test_lists_of_labels():
    X, Y, Z = old_data(MHEMultiLabelClassifier)
    lists = [[f"l{i:02d}" for i in np.flatnonzero(row)] for row in Y]
    clf = make(MHEMultiLabelClassifier, max_iter=20)
    clf.fit(X, lists, label_features=Z[:N_OLD]).add_labels(Z[N_OLD:], list("wxyz"))
    assert clf.classes_[-4:].tolist() == list("wxyz")
    assert clf.predict_topk(X, k=C)[0].shape == (len(X), C)


def test_columns_of_a_sparse_indicator():
    X, Y, Z = old_data(MHEMultiLabelClassifier)
    clf = make(MHEMultiLabelClassifier)
    clf.fit(X, sp.csr_matrix(Y), label_features=Z[:N_OLD])
    predicted = clf.add_labels(Z[N_OLD:], labels=range(N_OLD, C)).predict(X)
    assert isinstance(predicted, sp.csr_matrix)
    assert predicted.shape == (len(X), C)


# ------------------------------------------------------------ labels without a sample


@both
@strategies
@models
def test_labels_without_a_sample_are_added_after_fitting(cls, strategy, model):
    X, y, Z = old_data(cls)
    settings = {"strategy": strategy, "model": model}
    clf = make(cls, **settings)
    columns = y
    if cls is MHEMultiLabelClassifier:
        columns = np.c_[y, np.zeros((len(y), C - N_OLD), int)]
    clf.fit(X, columns, label_features=Z)
    expected = fit_old(cls, **settings).add_labels(Z[N_OLD:])
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    assert_array_equal(clf.codec_.order, expected.codec_.order)


def test_labels_in_between_may_lack_samples():
    X, y, Z = make_data()
    rows = ~np.isin(y, [3, 7])
    weight = {3: 2.0, 4: 1.0}
    clf = make(class_weight=weight).fit(X[rows], y[rows], label_features=Z)
    seen = np.delete(np.arange(C), [3, 7])
    other = make().fit(X[rows], y[rows], label_features=pd.DataFrame(Z[seen], seen))
    other.add_labels(Z[[3, 7]], [3, 7])
    assert_array_equal(clf.classes_, np.arange(C))
    assert_array_equal(clf.predict_proba(X), other.predict_proba(X))


# ------------------------------------------------------------ further training


@both
@strategies
@models
def test_partial_fit_trains_them(cls, strategy, model):
    X, y, Z = make_data(cls)
    settings = {"hidden_layer_sizes": (16,), "learning_rate_init": 0.02}
    clf = fit_old(cls, strategy=strategy, model=model, max_iter=20, **settings)
    clf.add_labels(Z[N_OLD:])
    for _ in range(20):
        clf.partial_fit(X, y)
    last = len(clf.head_sizes_) - 1 if strategy == "cascade" else 0
    assert clf.weights_[f"head.biases.{last}"].shape == (C,)
    p = clf.predict_proba(X)
    new = np.eye(C)[y][:, N_OLD:] if cls is MHEClassifier else y[:, N_OLD:]
    assert p[:, N_OLD:][new == 1].mean() > 3 * p[:, N_OLD:][new == 0].mean()
    labels, scores = clf.predict_topk(X, k=3)
    assert (labels[new.any(1)] >= N_OLD).any(1).mean() > 0.8
    assert_allclose(scores, np.take_along_axis(p, labels, 1), rtol=1e-2)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), p)
    # Its state goes on, too.
    assert clf._spec.n_labels == C
    clf.add_labels(Z[:1]).partial_fit(X[:40], *_with_one_more(y[:40]))
    assert len(clf.classes_) == C + 1


def _with_one_more(y):
    return (y,) if y.ndim == 1 else (np.c_[y, np.zeros((len(y), 1), int)],)


@strategies
def test_making_room_changes_trained_labels_by_rounding_only(strategy):
    X, _, Z = make_data()
    clf = fit_old(MHEClassifier, strategy=strategy, model="both")
    before = clf.predict_log_proba(X)
    clf.add_labels(Z[N_OLD:])
    added = clf.predict_log_proba(X)
    clf._make_room()
    after = clf.predict_log_proba(X)
    # Against each other, trained labels are as likely as they were.
    old = np.log(np.exp(after[:, :N_OLD]).sum(1, keepdims=True))
    assert_allclose(after[:, :N_OLD] - old, before, atol=1e-3)
    if clf.centroids_ is not None:
        # New ones, too. (Elsewhere the cosines with their texts are lost.)
        assert_allclose(after, added, rtol=1e-5, atol=1e-4)
    assert_allclose(np.exp(after).sum(1), 1)


def test_fit_goes_on_with_them():
    X, y, Z = make_data()
    old = y < N_OLD
    clf = make(warm_start=True, max_iter=15, learning_rate_init=0.02)
    clf.fit(X[old], y[old], label_features=Z[:N_OLD]).add_labels(Z[N_OLD:])
    clf.fit(X, y, label_features=Z)
    assert clf.weights_["head.weights.0"].shape[0] == C
    assert clf.score(X[~old], y[~old]) > 0.5


# ------------------------------------------------------------ codes


def test_codes_follow_those_that_are_taken():
    codec = LabelCodec(10, (4, 3), "random", random_state=0)
    order = np.r_[codec.order[:10] + 1, 0, 11, 12]
    more = codec.extend(order)
    assert (more.n_labels, more.head_sizes) == (13, (5, 3))
    assert_array_equal(more.order, order)
    assert_array_equal(more.positions[order], np.arange(13))
    assert_array_equal(more.encode(np.arange(10) + 1), codec.encode(np.arange(10)))
    assert_array_equal(more.decode(more.encode(range(13))), np.arange(13))
    assert (codec.n_labels, codec.head_sizes) == (10, (4, 3))
    assert codec.extend(range(12)).head_sizes == (4, 3)
    for bad in (range(9), [0, 0, *range(2, 12)], range(1, 12)):
        with pytest.raises(ValueError, match="order must be a permutation of at least"):
            codec.extend(bad)


# ------------------------------------------------------------ state and errors


@both
def test_pickle_and_clone(cls):
    X, _, Z = make_data(cls)
    clf = fit_old(cls, model="both", strategy="sampling").add_labels(Z[N_OLD:])
    p = clf.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), p)
    assert_array_equal(clf.predict_proba(X), p)
    assert not hasattr(clone(clf), "classes_")
    with pytest.raises(NotFittedError):
        clone(clf).add_labels(Z)


def test_they_can_be_added_in_turns():
    X, _, Z = make_data()
    clf = fit_old(MHEClassifier)
    clf.predict_topk(X)  # what is kept of the labels must not outlive them
    once = pickle.loads(pickle.dumps(clf)).add_labels(Z[N_OLD:])
    clf.add_labels(Z[N_OLD : N_OLD + 1])
    clf.predict_topk(X)
    clf.add_labels(Z[N_OLD + 1 :])
    for a, b in zip(clf.predict_topk(X), once.predict_topk(X), strict=True):
        assert_array_equal(a, b)


ONE = np.ones((1, D))


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((np.ones((1, 9)),), "label_features has 9 features, but those .* have 40"),
        ((np.full((1, D), np.nan),), "label_features contains NaN"),
        ((np.empty((0, D)),), "Found array with 0 sample"),
        ((ONE, [3]), "1 names that are repeated or known already, 3 among them"),
        ((np.ones((2, D)), [30, 30]), "30 among them: each label can be added once"),
        ((ONE, [30, 31]), r"labels has shape \(2,\), but label_features has 1 rows"),
        ((ONE, ["a"]), "labels are of type <U1, but the known labels of type int64"),
        ((ONE, [1.5]), r"labels=\[1.5\] .. cannot be of type int64"),
    ],
)
def test_bad_labels(arguments, match):
    check_error(fit_old(MHEClassifier), match, lambda clf: clf.add_labels(*arguments))


def test_more_bad_labels():
    X, y, Z = make_data()
    clf = make().fit(X, y)
    with pytest.raises(ValueError, match=r"call fit\(X, y, label_features=Z\) first"):
        clf.add_labels(Z)
    rows = y < 4
    clf = make().fit(X[rows], named(y[rows]), label_features=Z[:4])
    with pytest.raises(ValueError, match="labels=None, but the known labels are no"):
        clf.add_labels(Z)
    clf = fit_old(MHEMultiLabelClassifier)
    with pytest.raises(ValueError, match=r"which are \[20\] ..: leave labels=None"):
        clf.add_labels(ONE, [25])
    clf.add_labels(pd.DataFrame(ONE, index=["any"]))
    assert len(clf.classes_) == N_OLD + 1
