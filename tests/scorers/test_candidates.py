"""Candidates of samples, and the scores of each scorer, against tables of all."""

import dataclasses

import numpy as np
import pytest
import torch
from linear_problems import make_text_like
from model_problems import CPU, N_LABELS, SETTINGS, make_rows, make_whole_model
from numpy.testing import assert_allclose
from sklearn import config_context

from skmhe import MHEMultiLabelClassifier
from skmhe.estimators import strategies
from skmhe.scorers import candidates as module
from skmhe.scorers.batch import Batch
from skmhe.scorers.candidates import find_candidates
from skmhe.scorers.combination import Combination, ScorerWeights

NONE = ScorerWeights(0, 0, 0, 0)


def all_scores(model, X):
    """Return the scores of all labels by each scorer, shape (n, n_labels, 4)."""
    tables = []
    for name in ScorerWeights._fields:
        asked = SETTINGS._replace(weights=NONE._replace(**{name: 1.0}))
        scorers = model.scorers(asked) if name in model.scorer_names else ()
        shape = X.shape[0], model.search.n_labels
        table = np.zeros(shape)
        if scorers:
            with torch.inference_mode():
                table = Combination(scorers).bind(Batch(X, CPU)).labels().numpy()
        tables.append(table)
    return np.stack(tables, 2)


@pytest.mark.parametrize("n_best", [2, 20])
@pytest.mark.parametrize("shares", [False, True])
@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("kind", ["full", "sampling"])
def test_candidates_are_the_best_of_each_scorer(
    kind, multilabel, shares, n_best, monkeypatch
):
    monkeypatch.setattr(module, "N_BEST", n_best)
    model, X = make_whole_model(kind, multilabel, shares, n_late=0), make_rows(40)
    X[3] = model.label_features[2]
    with config_context(working_memory=0.002):  # several blocks
        found = find_candidates(model, X, SETTINGS)
    table = all_scores(model, X)
    names = model.scorer_names
    mixes = [table[:, :, i] for i in range(len(names))]
    mixes += [table[:, :, :2].sum(2), table.sum(2)]
    for row in range(len(X)):
        labels = found.labels[row][found.labels[row] >= 0]
        assert len(set(labels)) == len(labels)
        best = {label for mix in mixes for label in np.argsort(-mix[row])[:n_best]}
        if names == ("network", "linear", "label_encoder"):
            assert set(labels) == best
        else:  # own labels score nearly all labels alike
            n_tied = n_best
            assert set(labels) >= {
                label
                for mix in (*mixes[:3], *mixes[4:])
                for label in np.argsort(-mix[row])[:n_best]
            }
            assert len(labels) <= len(best) + n_tied
        assert_allclose(
            found.scores[row, : len(labels)], table[row, labels], rtol=1e-4, atol=1e-4
        )
        # All other labels are drawn, of so few.
        others = np.setdiff1d(np.arange(N_LABELS), labels)
        assert found.stands_for[row].sum() == len(others)
        kept = found.stands_for[row] > 0
        drawn = np.sort(found.drawn[row, kept], axis=0)
        expected = np.sort(table[row, others], axis=0)
        assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)


def test_drawn_labels_stand_for_all_others(monkeypatch):
    monkeypatch.setattr(module, "N_DRAWN", 5)
    monkeypatch.setattr(module, "N_BEST", 1)
    model, X = make_whole_model("full", n_late=0), make_rows(40)
    found = find_candidates(model, X, SETTINGS)
    assert found.drawn.shape == (40, 5, 4)
    n_others = N_LABELS - (found.labels >= 0).sum(1)
    some = found.stands_for.any(1)
    assert some.mean() > 0.5
    assert_allclose(found.stands_for.sum(1)[some], n_others[some], rtol=1e-5)


def test_only_proposed_groups_have_candidates(monkeypatch):
    monkeypatch.setattr(strategies, "MAX_FULL_LABELS", 10)
    X = make_text_like(200, 40)
    Y = (X @ np.random.RandomState(0).rand(40, 30) > 1.6).astype(int)
    clf = MHEMultiLabelClassifier(
        "sampling", max_iter=2, hidden_layer_sizes=8, random_state=0
    )
    model = clf.set_params(linear__beam_width=2).fit(X, Y)._fitted.model
    X, settings = X.astype(np.float32), SETTINGS._replace(linear_beam_width=2)
    found = find_candidates(model, X, settings)
    labels, _ = model.topk(X, 4, settings)
    known = dataclasses.replace(model)
    table = all_scores(known, X)
    for row in range(len(X)):
        own = found.labels[row][found.labels[row] >= 0]
        assert own.max() < 30
        assert set(labels[row]) <= set(own)
        assert_allclose(
            found.scores[row, : len(own), 0], table[row, own, 0], rtol=1e-3, atol=1e-3
        )
