"""Features of labels: what they change, and what bad ones get."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler
from test_errors import check_error, same

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe._network import rows_to_tensor

N, C, D = 240, 24, 40
BOTH = [MHEClassifier, MHEMultiLabelClassifier]
both = pytest.mark.parametrize("cls", BOTH)


def make(cls=MHEClassifier, **params):
    base = {
        "model": "network",
        "strategy": "full",
        "hidden_layer_sizes": (8,),
        "batch_size": 32,
        "max_iter": 3,
        "random_state": 0,
    }
    return cls(**(base | params))


def make_data(cls=MHEClassifier):
    """Return samples that are noisy mixtures of their labels' words, and the words."""
    rng = np.random.RandomState(0)
    Z = (rng.rand(C, D) < 0.2) * rng.rand(C, D)
    y = np.arange(N) % C
    Y = np.eye(C, dtype=int)[y]
    if cls is MHEMultiLabelClassifier:
        Y[np.arange(N), rng.randint(C, size=N)] = 1
    X = Y @ Z * (rng.rand(N, D) < 0.8) + 0.1 * rng.rand(N, D)
    return X, y if cls is MHEClassifier else Y, Z


def probabilities(clf, X, scoring):
    return clf.set_params(scoring=scoring).predict_proba(X)


# ------------------------------------------------------------ predictions


@both
@pytest.mark.parametrize("strategy", ["full", "sampling", "cascade"])
@pytest.mark.parametrize("model", ["both", "network"])
def test_all_strategies_and_models_take_them(cls, strategy, model):
    X, y, Z = make_data(cls)
    clf = make(cls, strategy=strategy, model=model, beam_width=C)
    clf.fit(X, y, label_features=Z)
    for scoring in ("both", "classifier", "encoder"):
        p = probabilities(clf, X, scoring)
        assert p.shape == (N, C)
        assert ((p > 0) & (p < 1)).all()
        if cls is MHEClassifier:
            assert_allclose(p.sum(1), 1)
        labels, scores = clf.predict_topk(X, k=3)
        best = -np.sort(-p, axis=1)[:, :3]
        if not (strategy == "sampling" and model == "both" and p.ndim == 2):
            assert_allclose(scores, best, rtol=2e-3)
            assert_allclose(np.take_along_axis(p, labels, 1), best, rtol=2e-3)


def encoder_scores(clf, X, Z):
    network = clf._network().eval()
    samples = network.encoder.embed_samples(
        rows_to_tensor(X, "cpu"), network.backbone.layers[0]
    )
    labels = network.embed_labels(Z)
    return network.encoder(samples, labels).detach().numpy()


def test_one_labels_scores_are_added():
    X, y, Z = make_data()
    X, Z = X.astype(np.float32), Z.astype(np.float32)
    clf = make().fit(X, y, label_features=Z)
    encoder = encoder_scores(clf, X, Z)
    classifier = np.log(probabilities(clf, X, "classifier"))
    expected = {
        "both": log_softmax((classifier + encoder) / 1.5, axis=1),
        "encoder": log_softmax(encoder, axis=1),
        "classifier": classifier,
    }
    for scoring, log_p in expected.items():
        found = np.log(probabilities(clf, X, scoring))
        assert_allclose(found, log_p, atol=1e-4)


def test_several_labels_scores_are_added():
    X, Y, Z = make_data(MHEMultiLabelClassifier)
    X, Z = X.astype(np.float32), Z.astype(np.float32)
    clf = make(MHEMultiLabelClassifier).fit(X, Y, label_features=Z)
    encoder = encoder_scores(clf, X, Z)
    classifier = probabilities(clf, X, "classifier")
    classifier = np.log(classifier) - np.log1p(-classifier)
    both = expit(0.8 * (classifier + encoder) - 3)
    assert_allclose(probabilities(clf, X, "both"), both, atol=1e-4)
    alone = expit(0.8 * encoder - np.log(C))
    assert_allclose(probabilities(clf, X, "encoder"), alone, atol=1e-4)


@both
def test_labels_without_a_sample_are_found_by_their_words(cls):
    X, y, Z = make_data(cls)
    known = np.arange(C) < C - 4
    seen = known[y] if y.ndim == 1 else ~y[:, ~known].any(axis=1)
    clf = make(cls, max_iter=60, hidden_layer_sizes=(64,), scoring="encoder")
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


# ------------------------------------------------------------ alignment


@both
def test_a_frame_is_aligned_by_its_index(cls):
    X, y, Z = make_data(cls)
    names = np.array([f"label {i:02d}" for i in range(C)])
    if cls is MHEClassifier:
        y, index = names[y], names
    else:
        index = np.arange(C)
    plain = make(cls).fit(X, y, label_features=Z)
    order = np.random.RandomState(1).permutation(C)
    frame = pd.DataFrame(Z[order], index=index[order])
    aligned = make(cls).fit(X, y, label_features=frame)
    assert_array_equal(plain.predict_proba(X), aligned.predict_proba(X))


@both
@pytest.mark.parametrize("container", [sp.csr_matrix, sp.csc_array, sp.coo_array])
@pytest.mark.parametrize("samples", [np.asarray, sp.csr_array])
def test_containers(cls, container, samples):
    X, y, Z = make_data(cls)
    X = samples(X)
    expected = make(cls).fit(X, y, label_features=sp.csr_array(Z))
    found = make(cls).fit(X, y, label_features=container(Z))
    assert_array_equal(expected.predict_proba(X), found.predict_proba(X))
    for features in (Z, Z.tolist(), Z[:, :7], container(Z[:, :7])):
        make(cls).fit(X, y, label_features=features).predict_topk(X)


def test_an_index_may_name_labels_without_a_sample():
    X, y, Z = make_data()
    names = np.array([f"label {i:02d}" for i in range(C)])
    rows = (y != 3) & (y != 17)
    clf = make().fit(X[rows], names[y[rows]], label_features=pd.DataFrame(Z, names))
    assert_array_equal(clf.classes_, names)


def test_integers_may_lack_samples():
    X, y, Z = make_data()
    clf = make().fit(X[y != 3], y[y != 3], label_features=Z)
    assert_array_equal(clf.classes_, np.arange(C))
    # As many rows as classes are theirs.
    clf = make().fit(X[y != 3], y[y != 3], label_features=np.delete(Z, 3, axis=0))
    assert_array_equal(clf.classes_, np.delete(np.arange(C), 3))


def test_lists_of_labels():
    X, Y, Z = make_data(MHEMultiLabelClassifier)
    lists = [list(np.flatnonzero(row)) for row in Y]
    clf = make(MHEMultiLabelClassifier)
    a = clf.fit(X, lists, label_features=Z).predict_proba(X)
    b = clf.fit(X, Y, label_features=Z).predict_proba(X)
    assert_array_equal(a, b)


# ------------------------------------------------------------ training


@both
def test_rows_of_zeros_leave_the_classifier(cls):
    X, y, Z = make_data(cls)
    Z[5] = 0
    clf = make(cls).fit(X, y, label_features=Z)
    scores = encoder_scores(clf, X.astype(np.float32), Z.astype(np.float32))
    assert (scores[:, 5] == 0).all()
    assert np.isfinite(clf.predict_proba(X)).all()


@both
def test_training_goes_on(cls):
    X, y, Z = make_data(cls)
    clf = make(cls).partial_fit(X, y, classes=np.arange(C), label_features=Z)
    before = clf.weights_["encoder.sample_map.weight"].copy()
    clf.partial_fit(X, y)
    assert (clf.weights_["encoder.sample_map.weight"] != before).any()
    other = make(cls).partial_fit(X, y, classes=np.arange(C), label_features=Z)
    other.partial_fit(X, y, label_features=Z)
    assert_array_equal(clf.predict_proba(X), other.predict_proba(X))


@both
def test_warm_start(cls):
    X, y, Z = make_data(cls)
    clf = make(cls, warm_start=True).fit(X, y, label_features=Z)
    before = clf.weights_["encoder.sample_map.weight"].copy()
    clf.fit(X, y, label_features=Z)
    assert (clf.weights_["encoder.sample_map.weight"] != before).any()
    check_error(clf, "n_label_features", lambda c: c.fit(X, y))
    check_error(clf, "n_label_features", lambda c: c.fit(X, y, label_features=Z[:, 1:]))


@both
def test_sample_weights(cls):
    X, y, Z = make_data(cls)
    weight = np.where(np.arange(N) < 200, 1.0, 0.0)
    a = make(cls).fit(X, y, sample_weight=weight, label_features=Z)
    b = make(cls).fit(X[:200], y[:200], label_features=Z)
    assert_allclose(a.predict_proba(X), b.predict_proba(X), rtol=1e-4)
    c = make(cls).fit(X, y, sample_weight=1.0 + np.arange(N), label_features=Z)
    for fitted in (a, c):
        fitted.set_params(scoring="encoder")
    assert not np.allclose(a.predict_proba(X), c.predict_proba(X))


@both
def test_class_weights_and_early_stopping(cls):
    X, y, Z = make_data(cls)
    plain = make(cls).fit(X, y, label_features=Z)
    heavy = make(cls, class_weight={0: 50.0}).fit(X, y, label_features=Z)
    p = [probabilities(clf, X, "encoder")[:, 0].mean() for clf in (plain, heavy)]
    assert p[1] > p[0]
    stopped = make(cls, early_stopping=True).fit(X, y, label_features=Z)
    assert len(stopped.validation_scores_) == 3


@both
def test_pickle(cls):
    X, y, Z = make_data(cls)
    clf = make(cls, strategy="cascade").fit(X, y, label_features=Z)
    expected = clf.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(clf)).predict_proba(X), expected)


@both
def test_predicting_changes_nothing(cls):
    X, y, Z = make_data(cls)
    clf = make(cls).fit(X, y, label_features=sp.csr_array(Z))
    before = pickle.loads(pickle.dumps(vars(clf)))
    clf.predict_topk(X)
    clf.predict_proba(X)
    assert set(vars(clf)) == set(before)
    assert same(clf.weights_, before["weights_"])


# ------------------------------------------------------------ scikit-learn


def test_metadata_routing_through_pipeline_and_grid_search():
    X, y, Z = make_data()
    with sklearn.config_context(enable_metadata_routing=True):
        clf = make().set_fit_request(label_features=True)
        pipeline = make_pipeline(MaxAbsScaler(), clf)
        fitted = pipeline.fit(X, y, label_features=Z)
        assert fitted[-1]._spec.n_label_features == D
        search = GridSearchCV(
            pipeline, {"mheclassifier__encoder_weight": [0.2, 0.5]}, cv=2
        )
        search.fit(X, y, label_features=Z)
        best = search.best_estimator_[-1]
        assert best._spec.n_label_features == D
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# ------------------------------------------------------------ errors


BAD = [
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
        make(cls, **params),
        "label_features cannot be used with",
        lambda clf: clf.fit(X, y, label_features=Z),
    )
