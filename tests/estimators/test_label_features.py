"""Features of labels: what they change, and what bad ones get."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from error_checks import check_error
from label_feature_problems import (
    SCORE_WITH,
    C,
    D,
    N,
    assert_same_predictions,
    both,
    encoder_scores,
    make,
    make_data,
    models,
    predictions,
    probabilities,
    score_with,
    strategies,
    weights,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_expit, log_softmax, softmax
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

from skmhe import LabelEncoder, MHEClassifier, MHEMultiLabelClassifier
from skmhe.training import fit as fitting

# ------------------------------------------------------------ predictions


@both
@strategies
@models
def test_all_strategies_and_models_take_them(cls, strategy, model):
    X, y, Z = make_data(cls)
    clf = make(cls, strategy, model=model).fit(X, y, label_features=Z)
    for what in SCORE_WITH:
        p = probabilities(clf, X, what)
        assert p.shape == (N, C)
        assert ((p > 0) & (p < 1)).all()
        if cls is MHEClassifier:
            assert_allclose(p.sum(1), 1)
        labels, scores = clf.predict_topk(X, k=3)
        best = -np.sort(-p, axis=1)[:, :3]
        assert_allclose(scores, best, rtol=2e-3)
        assert_allclose(np.take_along_axis(p, labels, 1), best, rtol=2e-3)


def head_scores(clf, X):
    """Return the scores of each of the network's heads, by position."""
    features, found = clf.transform(X).astype(float), weights(clf)
    return [
        features @ found[f"head.weights.{i}"].T + found[f"head.biases.{i}"]
        for i in range(clf.n_heads_ if clf.strategy_ == "cascade" else 1)
    ]


@both
@strategies
def test_scores_are_added(cls, strategy):
    # By hand: the classifier's scores are those of its tables, the encoder's are added.
    X, y, Z = make_data(cls)
    X, Z = X.astype(np.float32), Z.astype(np.float32)
    clf = make(cls, strategy).fit(X, y, label_features=Z)
    multilabel, order = cls is MHEMultiLabelClassifier, clf.codec_.order
    *first, last = head_scores(clf, X)
    encoder = encoder_scores(clf, X, Z)[:, order]

    def expected(scores):
        """Return the log-probabilities of scores of the labels."""
        if not multilabel:  # one softmax, also in trees
            return log_softmax(scores, axis=1)
        if not first:
            return log_expit(scores)
        # The odds against a label are the 4-norm of those on its path.
        above = first[0][:, np.arange(C) // clf.head_sizes_[-1]]
        return log_expit(-np.logaddexp(-4 * scores, -4 * above) / 4)

    # What makes probabilities of a sum of scores of all labels, outside of trees.
    sums = last + encoder
    if not first:
        sums = (sums - multilabel * np.log(C)) / 2
    for what, log_p in {"both": expected(sums), "classifier": expected(last)}.items():
        found = np.log(probabilities(clf, X, what))[:, order]
        assert_allclose(found, log_p, atol=1e-4)
    found = probabilities(clf, X, "encoder")[:, order]
    alone = expit(encoder - np.log(C))
    alone = alone if multilabel else np.exp(log_softmax(encoder, 1))
    assert_allclose(found, alone, atol=1e-4)


@both
def test_labels_without_a_sample_are_found_by_their_words(cls):
    X, y, Z = make_data(cls)
    known = np.arange(C) < C - 4
    seen = known[y] if y.ndim == 1 else ~y[:, ~known].any(axis=1)
    encoder = LabelEncoder(score_with="encoder")
    clf = make(cls, max_iter=60, hidden_layer_sizes=(64,), label_encoder=encoder)
    clf.fit(X[seen], y[seen], label_features=Z)
    assert len(clf.classes_) == C
    labels, _ = clf.predict_topk(X[~seen], k=4)
    true = y[~seen] if y.ndim == 1 else y[~seen][:, ~known].argmax(1) + C - 4
    assert (labels == true[:, None]).any(1).mean() > 0.35  # by chance 1 in 6


def test_words_help_rare_classes():
    X, y, Z = make_data()
    few = slice(0, 2 * C)
    found = {}
    for name, features in [("with", Z), ("without", None)]:
        clf = make(max_iter=30).fit(X[few], y[few], label_features=features)
        found[name] = clf.score(X[2 * C :], y[2 * C :])
    assert found["with"] > found["without"] + 0.05


# ------------------------------------------------------------ kinds of targets


NAMES = np.array([f"label {i:02d}" for i in range(C)])
KINDS = {
    MHEClassifier: {
        "labels": lambda y: y,
        "list": lambda y: y.tolist(),
        "strings": lambda y: NAMES[y],
        "objects": lambda y: NAMES[y].astype(object),
        "floats": lambda y: y.astype(float),
    },
    MHEMultiLabelClassifier: {
        "dense": lambda Y: Y,
        "csr_matrix": sp.csr_matrix,
        "csr_array": sp.csr_array,
        "ints": lambda Y: [list(np.flatnonzero(row)) for row in Y],
        "strings": lambda Y: [list(NAMES[row > 0]) for row in Y],
        "sets": lambda Y: [set(NAMES[row > 0]) for row in Y],
    },
}


@strategies
@pytest.mark.parametrize(
    ("cls", "kind"),
    [(cls, kind) for cls, kinds in KINDS.items() for kind in kinds],
    ids=[kind for kinds in KINDS.values() for kind in kinds],
)
def test_kinds_of_targets(cls, kind, strategy):
    X, y, Z = make_data(cls)
    expected = make(cls, strategy).fit(X, y, label_features=Z)
    given = KINDS[cls][kind](y)
    clf = make(cls, strategy).fit(X, given, label_features=Z)
    assert_array_equal(clf.predict_proba(X), expected.predict_proba(X))
    indices, scores = expected.predict_topk(X)
    labels, same = clf.predict_topk(X)
    assert_array_equal(labels, clf.classes_[indices])
    assert_array_equal(same, scores)
    assert clf.score(X, given) == expected.score(X, y)


# ------------------------------------------------------------ alignment


@both
def test_a_frame_is_aligned_by_its_index(cls):
    X, y, Z = make_data(cls)
    y, index = (NAMES[y], NAMES) if cls is MHEClassifier else (y, np.arange(C))
    plain = make(cls).fit(X, y, label_features=Z)
    order = np.random.RandomState(1).permutation(C)
    frame = pd.DataFrame(Z[order], index=index[order])
    aligned = make(cls).fit(X, y, label_features=frame)
    assert_same_predictions(plain, aligned, X)


@both
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("samples", [np.asarray, sp.csr_array])
def test_containers(cls, container, samples):
    X, y, Z = make_data(cls)
    X = samples(X)
    expected = make(cls).fit(X, y, label_features=sp.csr_array(Z))
    found = make(cls).fit(X, y, label_features=container(Z))
    assert_same_predictions(expected, found, X)
    for features in (Z, Z.tolist(), Z[:, :7], container(Z[:, :7])):
        make(cls).fit(X, y, label_features=features).predict_topk(X)


def test_an_index_may_name_labels_without_a_sample():
    X, y, Z = make_data()
    rows = (y != 3) & (y != 17)
    clf = make().fit(X[rows], NAMES[y[rows]], label_features=pd.DataFrame(Z, NAMES))
    assert_array_equal(clf.classes_, NAMES)


def test_integers_may_lack_samples():
    X, y, Z = make_data()
    clf = make().fit(X[y != 3], y[y != 3], label_features=Z)
    assert_array_equal(clf.classes_, np.arange(C))
    # As many rows as classes are theirs.
    clf = make().fit(X[y != 3], y[y != 3], label_features=np.delete(Z, 3, axis=0))
    assert_array_equal(clf.classes_, np.delete(np.arange(C), 3))


# ------------------------------------------------------------ training


@both
def test_rows_of_zeros_leave_the_classifier(cls):
    X, y, Z = make_data(cls)
    Z[5] = 0
    clf = make(cls).fit(X, y, label_features=Z)
    assert (encoder_scores(clf, X, Z)[:, 5] == 0).all()
    assert np.isfinite(clf.predict_proba(X)).all()


@both
@strategies
def test_training_goes_on(cls, strategy):
    X, y, Z = make_data(cls)
    first = {"classes": np.arange(C), "label_features": Z}
    clf = make(cls, strategy).partial_fit(X, y, **first)
    before = weights(clf)["encoder.sample_map.weight"]
    clf.partial_fit(X, y)
    assert (weights(clf)["encoder.sample_map.weight"] != before).any()
    other = make(cls, strategy).partial_fit(X, y, **first)
    other.partial_fit(X, y, label_features=Z)
    assert_same_predictions(clf, other, X)


@both
def test_warm_start(cls):
    X, y, Z = make_data(cls)
    clf = make(cls, warm_start=True).fit(X, y, label_features=Z)
    before = weights(clf)["encoder.sample_map.weight"]
    clf.fit(X, y, label_features=Z)
    assert (weights(clf)["encoder.sample_map.weight"] != before).any()
    # Without features of labels, those that are known go on to be used.
    again, same = copy.deepcopy(clf), copy.deepcopy(clf)
    again.fit(X, y)
    assert_same_predictions(again, same.fit(X, y, label_features=Z), X)
    changed = r"label_encoder=.* with these label_features does not fit"
    check_error(clf, changed, lambda c: c.fit(X, y, label_features=Z[:, 1:]))


@both
def test_without_a_share_of_the_loss_there_is_no_encoder(cls):
    X, y, Z = make_data(cls)
    alone = make(cls).fit(X, y)
    clf = make(cls, label_encoder__loss_weight=0.0).fit(X, y, label_features=Z)
    assert weights(clf).keys() == weights(alone).keys()
    assert_same_predictions(clf, alone, X)
    # The parameter is of fitting, and what predicts is what was fitted.
    match = "was fitted without a label encoder"
    clf.set_params(label_encoder=LabelEncoder(score_with="encoder"))
    check_error(clf, match, lambda c: c.predict(X))


@both
def test_sample_weights(cls):
    X, y, Z = make_data(cls)
    weight = np.where(np.arange(N) < 200, 1.0, 0.0)
    a = make(cls).fit(X, y, sample_weight=weight, label_features=Z)
    b = make(cls).fit(X[:200], y[:200], label_features=Z)
    assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-4)
    c = make(cls).fit(X, y, sample_weight=1.0 + np.arange(N), label_features=Z)
    a, c = (probabilities(clf, X, "encoder") for clf in (a, c))
    assert not np.allclose(a, c)


@both
def test_class_weights(cls):
    X, y, Z = make_data(cls)
    plain = make(cls).fit(X, y, label_features=Z)
    heavy = make(cls, class_weight={0: 50.0}).fit(X, y, label_features=Z)
    scores = [score_with(clf, "encoder").decision_function(X) for clf in (plain, heavy)]
    p = [softmax(s, axis=1)[:, 0].mean() for s in scores]
    assert p[1] > p[0]


@both
@strategies
def test_early_stopping_scores_the_sum(cls, strategy, monkeypatch):
    X, y, Z = make_data(cls)
    split = []

    def hold_out(*args):
        split.append(hold_out_rows(*args))
        return split[-1]

    hold_out_rows = fitting.hold_out
    monkeypatch.setattr(fitting, "hold_out", hold_out)
    params = {"max_iter": 12, "learning_rate_init": 0.05, "n_iter_no_change": 12}
    params |= {"early_stopping": 0.3, "dtype": "float32"}
    clf = make(cls, strategy, **params).fit(X, y, label_features=Z)
    ((_, rows),) = split
    labels, _ = clf.predict_topk(X[rows], k=1)
    truth = np.eye(C)[y[rows]] if y.ndim == 1 else y[rows]
    found = np.take_along_axis(truth, labels, 1).mean()
    assert len(clf.validation_scores_) == 12
    # The weights that were kept are those of the best epoch.
    assert_allclose(found, max(clf.validation_scores_), rtol=1e-6)
    assert clf.validation_scores_[0] < max(clf.validation_scores_)


@both
@strategies
def test_pickle(cls, strategy):
    X, y, Z = make_data(cls)
    clf = make(cls, strategy).fit(X, y, label_features=Z)
    again = pickle.loads(pickle.dumps(clf))
    assert_same_predictions(again, clf, X)
    for each in (clf, again):
        each.partial_fit(X, y)
    assert_same_predictions(again, clf, X)


@both
@strategies
def test_predicting_changes_nothing(cls, strategy):
    X, y, Z = make_data(cls)
    clf = make(cls, strategy).fit(X, y, label_features=sp.csr_array(Z))
    before = pickle.dumps(clf)
    predictions(clf, X)
    assert pickle.dumps(clf) == before


# ------------------------------------------------------------ scikit-learn


def test_metadata_routing_through_pipeline_and_grid_search():
    X, y, Z = make_data()
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(label_features=True)
        pipeline = make_pipeline(MaxAbsScaler(), clf)
        fitted = pipeline.fit(X, y, label_features=Z)
        assert fitted[-1]._fitted.model.label_features.shape == (C, D)
        name = "mheclassifier__label_encoder__loss_weight"
        search = GridSearchCV(pipeline, {name: [0.2, 0.5]}, cv=2)
        search.fit(X, y, label_features=Z)
        best = search.best_estimator_[-1]._fitted.model
        assert best.label_features.shape == (C, D)
        assert best.spec.encoder.loss_weight == search.best_params_[name]
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------ errors


BAD = [
    (
        lambda Z: pd.Series([f"label {i}" for i in range(len(Z))]),
        "^label_features holds texts, such as 'label 0', .*vectorizer.transform",
    ),
    (lambda Z: dict(enumerate(Z)), r"^label_features is a dict, but must .*sorted\("),
    (lambda Z: Z[:-1], "label_features has 23 rows, but y has 24 labels"),
    (lambda Z: np.where(Z.max() == Z, np.nan, Z), "label_features contains NaN"),
    (lambda Z: Z[:, :0], "0 feature"),
    (lambda Z: Z[0], "Expected 2D array"),
    (
        lambda Z: pd.DataFrame(Z, index=np.r_[np.arange(C - 1), 0]),
        "label_features has 2 rows for the label 0",
    ),
    (
        lambda Z: pd.DataFrame(Z[:-2], index=np.arange(C - 2)),
        "label_features has no row for 2 of the 24 labels of y, 22 among them",
    ),
]


@both
@pytest.mark.parametrize(("change", "match"), BAD)
def test_bad_label_features(cls, change, match):
    X, y, Z = make_data(cls)
    bad = change(Z)
    check_error(make(cls), match, lambda clf: clf.fit(X, y, label_features=bad))
    fitted = make(cls).fit(X, y, label_features=Z)
    check_error(fitted, match, lambda clf: clf.fit(X, y, label_features=bad))


def test_an_indicator_needs_a_column_for_each_label_of_the_index():
    X, Y, Z = make_data(MHEMultiLabelClassifier)
    frame = pd.DataFrame(np.r_[Z, Z[:2]], index=np.arange(C + 2))
    match = "label_features names 26 labels, but y has 24 columns"
    check_error(
        make(MHEMultiLabelClassifier),
        match,
        lambda clf: clf.fit(X, Y, label_features=frame),
    )


@both
@pytest.mark.parametrize(
    "params", [{"model": "linear"}, {"hidden_layer_sizes": ()}, {"strategy": "product"}]
)
def test_what_cannot_use_them_says_so(cls, params):
    if cls is MHEMultiLabelClassifier and "strategy" in params:
        params = {"model": "linear"}
    X, y, Z = make_data(cls)
    check_error(
        make(cls).set_params(**params),
        "cannot be used with label_features",
        lambda clf: clf.fit(X, y, label_features=Z),
    )
