"""A fitted model: sums of all scorers, labels that come later, and what is kept."""

import copy
import dataclasses
import math
import pickle

import numpy as np
import pytest
import torch
from linear_problems import path_scores
from model_problems import (
    CPU,
    N_LABELS,
    SETTINGS,
    log_prob,
    make_model,
    make_rows,
    make_whole_model,
    unit,
)
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, log_softmax, logsumexp

from skmhe.nn.late_search import LATE_ODDS
from skmhe.scorers.batch import Batch
from skmhe.scorers.combination import Calibration, Mix, ScorerWeights
from skmhe.scorers.model import CENTROID_SCALES
from skmhe.scorers.network import network_from_weights
from skmhe.scorers.similarity import LabelSimilarityScorer

N_ALL = N_LABELS + 2
BOTH = pytest.mark.parametrize("multilabel", [False, True])


def parts_of(model, X):
    """Return each scorer's scores of all labels, by position."""
    network = network_from_weights(model.spec, model.weights, CPU).eval()
    with torch.no_grad():
        features = network.backbone(torch.from_numpy(X))
        head = (features @ network.head.weights[0].T + network.head.biases[0]).numpy()
        scale = network.centroid_scale.item()
    centroids = scale * model.centroids.cosines(unit(X))
    linear = np.maximum(path_scores(model.linear, unit(X), N_LABELS), -6)
    return head, linear, centroids, *parts_of_features(model, X)


def parts_of_features(model, X):
    """Return what features tell of all labels: the encoder's scores, and texts'."""
    network = network_from_weights(model.spec, model.weights, CPU).eval()
    with torch.no_grad():
        samples = network.embed_samples(Batch(X, CPU))
        labels = network.embed_labels(model.label_features)
        encoder = network.encoder(samples, labels).numpy()
    scale = CENTROID_SCALES[model.search.multilabel]
    if network.spec.centroid_scale is not None:
        scale = network.centroid_scale.item()
    return encoder, scale * (unit(X) @ model.label_features.T)


def log_probs(scores, multilabel):
    return np.log(expit(scores)) if multilabel else log_softmax(scores, axis=1)


def with_late(known, told, multilabel):
    """Return log-probabilities of all labels, by those of known ones; written out."""
    logs = logsumexp(0.5 * told[:, :N_LABELS], axis=1, keepdims=True)
    odds = (3.5 if multilabel else LATE_ODDS) * np.exp(0.5 * told[:, N_LABELS:] - logs)
    if multilabel:
        return np.hstack([known, np.log(odds / (1 + odds))])
    odds *= 1 - np.exp(known).max(1, keepdims=True)
    every = np.hstack([np.exp(known), odds])
    return np.log(every / (1 + odds.sum(1, keepdims=True)))


@BOTH
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize(("weight", "of_encoder"), [(1, 1), (0.5, 0.25), (0, 0)])
def test_all_scores_are_summed_and_calibrated(shares, multilabel, weight, of_encoder):
    model, X = make_whole_model("full", multilabel, shares), make_rows()
    head, linear, centroids, encoder, texts = parts_of(model, X)
    classifier = head + weight * linear + centroids
    weighted = of_encoder * encoder[:, :N_LABELS]
    texts = texts if shares else np.zeros_like(texts)
    total = 1 + weight / (1 if multilabel else 2)
    expected = {
        "classifier": classifier / total,
        "both": (classifier + weighted) / (total + of_encoder),
        "encoder": encoder,
    }
    if multilabel:
        of_all = of_encoder * math.log(N_LABELS)
        expected["classifier"] += weight / total
        expected["both"] += (weight - of_all) / (total + of_encoder)
        expected["encoder"] = encoder - math.log(N_ALL)
    expected = {name: log_probs(s, multilabel) for name, s in expected.items()}
    # Of labels that came later, only the features are known.
    for name, told in (("classifier", texts), ("both", texts + encoder)):
        expected[name] = with_late(expected[name], told, multilabel)
    order = model.codec.order
    # Weights are relative to each other.
    weights = ScorerWeights(*(2 * w for w in (1, weight, of_encoder, 0.5)))
    for score_with, values in expected.items():
        settings = SETTINGS._replace(score_with=score_with, weights=weights)
        found = model.of_all_labels(X, settings, log_prob)[:, order]
        assert_allclose(found, values, rtol=1e-3, atol=1e-4)
        positions, best = model.topk(X, 3, settings)
        for values in (best, np.take_along_axis(found, positions, axis=1)):
            expected_best = -np.sort(-found, axis=1)[:, :3]
            assert_allclose(values, expected_best, rtol=1e-3, atol=1e-4)
        assert_array_equal(model.best(X, settings), found.argmax(1))


@BOTH
def test_labels_that_are_samples_have_the_odds_of_the_training_samples(multilabel):
    model, X = make_whole_model("full", multilabel), make_rows()
    X[3], X[5] = 2 * model.label_features[4], model.label_features[N_LABELS]
    settings = SETTINGS._replace(score_with="encoder")
    encoder = parts_of(model, X)[3]
    encoder[[3, 5], [4, N_LABELS]] += 2 * math.log(1.5 / 5.5)
    if multilabel:
        encoder = encoder - math.log(N_ALL)
    found = model.of_all_labels(X, settings, log_prob)[:, model.codec.order]
    assert_allclose(found, log_probs(encoder, multilabel), rtol=1e-3, atol=1e-4)


@BOTH
@pytest.mark.parametrize("kind", ["full", "cascade"])
def test_linear_classifiers_alone(kind, multilabel):
    whole = make_whole_model(kind, multilabel, n_late=0)
    search = whole.search
    if kind == "cascade":  # alone, their probabilities multiply along the path
        search = dataclasses.replace(search, joint=False)
    parts = {"spec": None, "weights": {}, "centroids": None, "search": search}
    model = dataclasses.replace(whole, **parts)
    X, found = make_rows(), None
    # The weight is that of a sum: alone there is none.
    for weight in (1.0, 5.0):
        settings = SETTINGS._replace(weights=ScorerWeights(linear=weight))
        found = model.of_all_labels(X, settings, log_prob)[:, model.codec.order]
    if kind == "full":
        linear = np.maximum(path_scores(model.linear, unit(X), N_LABELS), -6)
        expected = log_probs(linear + 1 if multilabel else 2 * linear, multilabel)
    else:
        first, leaves = (
            4 * unit(X) @ np.moveaxis(level.weights, 0, 1).reshape(6, -1)
            + 4 * level.intercepts.ravel()
            for level in model.linear
        )
        leaves[:, N_LABELS:] = -np.inf
        leaves = leaves.reshape(len(X), 4, 3)
        p = log_probs(first, multilabel)[:, :, None]
        with np.errstate(divide="ignore"):
            below = np.log(expit(leaves)) if multilabel else log_softmax(leaves, axis=2)
        expected = (p + below).reshape(len(X), -1)[:, :N_LABELS]
    assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


# ------------------------------------------------------------ labels that come later


def test_extend_leaves_the_model_as_it_is():
    model = make_whole_model(n_late=0)
    stored = pickle.dumps(model)
    more = make_whole_model(n_late=2)
    assert (more.search.n_labels, more.n_late) == (N_LABELS, 2)
    assert (model.search.n_labels, model.n_late) == (N_LABELS, 0)
    assert pickle.dumps(model) == stored
    assert_array_equal(more.codec.order[:N_LABELS], model.codec.order)
    # The ranking of known labels stays.
    X = make_rows()
    before, after = (m.of_all_labels(X, SETTINGS, log_prob) for m in (model, more))
    ratio = after[:, :N_LABELS] - before
    assert_allclose(ratio, ratio[:, :1].repeat(N_LABELS, axis=1), rtol=1e-6)


@BOTH
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("kind", ["full", "sampling", "cascade"])
def test_grown_models_have_rows_for_all_labels(kind, shares, multilabel):
    model = make_whole_model(kind, multilabel, shares)
    grown = model.grow()
    assert grown.search.n_labels == grown.codec.n_labels == N_ALL
    assert grown.n_late == 0
    assert grown.grow() is grown
    assert model.n_late == 2
    assert grown.spec.head.options["n_labels"] == grown.search.n_labels == N_ALL
    network = network_from_weights(grown.spec, grown.weights, CPU)
    assert network.head.search == grown.search
    # Known labels keep their order, and the new ones have scores of their own.
    X, order = make_rows(), model.codec.order[:N_LABELS]
    before, after = (m.of_all_labels(X, SETTINGS, log_prob) for m in (model, grown))
    assert np.isfinite(after).all()
    if kind == "full":
        assert_array_equal(before[:, order].argsort(1), after[:, order].argsort(1))
    if grown.centroids is not None:
        texts = model.label_features[N_LABELS:] if shares else np.zeros((2, 6))
        found = grown.centroids.cosines(unit(X))
        expected = model.centroids.cosines(unit(X))
        expected = np.hstack([expected, unit(X) @ texts.T])
        assert_allclose(found, expected, atol=1e-5)


@BOTH
def test_scale_of_texts_without_centroids(multilabel):
    model = make_whole_model("cascade", multilabel)
    *_, texts = model._scoring(SETTINGS).combination.scorers
    assert isinstance(texts, LabelSimilarityScorer)
    assert texts.scale == CENTROID_SCALES[multilabel]


@BOTH
@pytest.mark.parametrize("kind", ["full", "sampling", "cascade"])
def test_all_ways_to_ask_agree_on_labels_that_come_later(kind, multilabel):
    model, X = make_whole_model(kind, multilabel), make_rows()
    order = model.codec.order
    found = model.of_all_labels(X, SETTINGS, log_prob)[:, order]
    known = make_whole_model(kind, multilabel, n_late=0)
    before = known.of_all_labels(X, SETTINGS, log_prob)[:, order[:N_LABELS]]
    told = sum(parts_of_features(model, X))
    expected = with_late(before, told, multilabel)
    assert_allclose(found, expected, rtol=1e-3, atol=1e-4)
    positions, best = model.topk(X, N_ALL, SETTINGS)
    assert_allclose(np.take_along_axis(found, positions, axis=1), best, atol=1e-4)
    assert_array_equal(np.sort(positions, axis=1), [np.arange(N_ALL)] * len(X))
    assert_array_equal(model.best(X, SETTINGS), found.argmax(1))
    above = model.above(X, -2.0, SETTINGS).toarray()[:, order] > 0
    assert_array_equal(above, found > -2.0)


# ------------------------------------------------------------ what is kept


def test_what_was_built_is_kept_until_something_changes():
    model = make_model()
    first = model._scoring(SETTINGS)
    assert model._scoring(SETTINGS) is first
    other = model._scoring(SETTINGS._replace(beam_width=5))
    assert other is not first
    assert other.search.beam_width == other.network.head.beam_width == 5
    assert model._scoring(SETTINGS._replace(beam_width=5)) is other
    assert len(model._kept) == 1
    changed = dataclasses.replace(model, weights=make_model("cascade").weights)
    assert changed._scoring(SETTINGS._replace(beam_width=5)) is not other


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))],
    ids=["copy", "deepcopy", "pickle"],
)
@pytest.mark.parametrize("kind", ["full", "sampling", "cascade"])
def test_copies_predict_the_same_and_keep_nothing(kind, copied):
    model, X = make_whole_model(kind), make_rows()
    expected = model.topk(X, 3, SETTINGS), model.of_all_labels(X, SETTINGS, log_prob)
    assert model._kept
    again = copied(model)
    assert not again._kept
    found = again.topk(X, 3, SETTINGS), again.of_all_labels(X, SETTINGS, log_prob)
    assert_array_equal(found[0][0], expected[0][0])
    assert_array_equal(found[0][1], expected[0][1])
    assert_array_equal(found[1], expected[1])


def test_models_of_user_backbones_are_known_by_them():
    model = make_model()
    assert model.user_backbone is None
    assert dataclasses.replace(model, spec=None).user_backbone is None
    spec = model.spec._replace(user_backbone="how to make it")
    assert dataclasses.replace(model, spec=spec).user_backbone == "how to make it"


def test_features():
    model, X = make_model(), make_rows()
    network = network_from_weights(model.spec, model.weights, CPU).eval()
    with torch.no_grad():
        expected = network.backbone(torch.from_numpy(X))
    assert_allclose(model.features(X, CPU), expected, rtol=1e-5)


@BOTH
def test_weights_and_calibrations_are_data_of_the_model(multilabel):
    model, X = make_whole_model("full", multilabel, True), make_rows()
    X[5] = model.label_features[4]
    head, linear, centroids, encoder, _ = parts_of(model, X)
    encoder = 0.5 * encoder[:, :N_LABELS]
    encoder[5, 4] += 3 * 2 * math.log(1.5 / 5.5)
    learned = Calibration(0.7, 1.5, -0.3, 0.4) if multilabel else Calibration(0.7)
    mix = Mix(ScorerWeights(1, 2.5, 0.5, 3), {"both": learned})
    mixed = dataclasses.replace(model, mix=mix)
    found = mixed.of_all_labels(X, SETTINGS, log_prob)
    scores = 0.7 * (head + 2.5 * linear + centroids + encoder)
    known = found[:, model.codec.order[:N_LABELS]]
    if multilabel:
        log_odds = 1.5 * scores - 0.3 + 0.4 * np.log(expit(scores))
        assert_allclose(known, np.log(expit(log_odds)), atol=1e-4)
    else:
        gaps = known - known[:, :1]
        assert_allclose(gaps, scores - scores[:, :1], atol=1e-4)
    # Other weights that are asked for are not calibrated; the same are.
    asked = SETTINGS._replace(weights=ScorerWeights(1, 2, 0.5, 3))
    again = mixed.of_all_labels(X, asked, log_prob)
    assert_allclose(again, model.of_all_labels(X, asked, log_prob))
    asked = SETTINGS._replace(weights=ScorerWeights(2, 5, 1, 6))
    assert_array_equal(mixed.of_all_labels(X, asked, log_prob), found)


def test_scorers_without_a_weight_are_not_asked():
    model = make_whole_model("full", n_late=0)
    every = [type(scorer).__name__ for scorer in model.scorers(SETTINGS)]
    assert every == [
        "NetworkScorer",
        "LinearScorer",
        "CentroidScorer",
        "LabelEncoderScorer",
    ]
    for weights, expected in [
        ((1, 0, 0, 0), [every[0], every[2]]),
        ((0, 1, 0, 0), every[1:2]),
        ((0, 1, 0, 1), [every[1], every[3]]),
        ((1, 1, 0, 0), every[:3]),
    ]:
        asked = SETTINGS._replace(weights=ScorerWeights(*weights))
        found = [type(scorer).__name__ for scorer in model.scorers(asked)]
        assert found == expected
    # Labels that came later have nothing but their features.
    model = make_whole_model("full")
    asked = SETTINGS._replace(weights=ScorerWeights(1, 1, 0, 0))
    found = [type(scorer).__name__ for scorer in model.scorers(asked)]
    assert found == [*every, "LabelSimilarityScorer"]
    asked = asked._replace(score_with="classifier")
    found = [type(scorer).__name__ for scorer in model.scorers(asked)]
    assert found == [*every[:3], "LabelSimilarityScorer"]


def test_names_of_scorers():
    model = make_whole_model("full")
    assert model.scorer_names == ("network", "linear", "label_encoder", "own_labels")
    model = make_whole_model("full", shares=False)
    assert model.scorer_names == ("network", "linear", "label_encoder")
    assert make_model().scorer_names == ("network",)
    linear = dataclasses.replace(model, spec=None)
    assert linear.scorer_names == ("linear",)
    assert linear.weights_for(SETTINGS) == ScorerWeights(0, 1, 0, 0)
    two = SETTINGS._replace(weights=ScorerWeights(0, 2, 1, 0))
    assert model.weights_for(two) == ScorerWeights(0, 1, 0.5, 0)
