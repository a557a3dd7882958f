"""Accuracy on real data: a set next to the checkout, where there is one, and WordNet.

The thresholds are floors that a broken part would fall through, not goals.
"""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier, MHEMultiLabelClassifier
from skmhe.datasets import load_wordnet
from skmhe.metrics import precision_at_k

CLINC150 = Path(__file__).parents[3] / "shared" / "data" / "clinc150"


@pytest.mark.slow
@pytest.mark.skipif(not CLINC150.is_dir(), reason="needs the CLINC150 data set")
def test_intents_of_clinc150():
    X_train, X_test = (sp.load_npz(CLINC150 / f"X_{p}.npz") for p in ("train", "test"))
    y_train, y_test = (np.load(CLINC150 / f"y_{p}.npy") for p in ("train", "test"))
    accuracy = {
        strategy: MHEClassifier(strategy, random_state=0)
        .fit(X_train, y_train)
        .score(X_test, y_test)
        for strategy in ("full", "cascade")
    }
    assert min(accuracy.values()) >= 0.9
    assert abs(accuracy["full"] - accuracy["cascade"]) <= 0.015


@pytest.mark.slow
def test_a_part_of_multilabel_wordnet():
    train, test = (load_wordnet(multilabel=True, subset=s) for s in ("train", "test"))
    tfidf = TfidfVectorizer(sublinear_tf=True, dtype=np.float32)
    X, Y = tfidf.fit_transform(train.data[::4]), train.target[::4]
    clf = MHEMultiLabelClassifier(hidden_layer_sizes=64, max_iter=3, random_state=0)
    labels, _ = clf.fit(X, Y).predict_topk(tfidf.transform(test.data[:2000]), k=5)
    always = np.argsort(-Y.sum(axis=0).A1)[:5]
    baseline = precision_at_k(test.target[:2000], np.tile(always, (2000, 1)), k=1)
    assert precision_at_k(test.target[:2000], labels, k=1) > 4 * baseline
