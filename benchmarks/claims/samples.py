"""The data of the claims: generated mixtures, digits, and parts of WordNet.

All of them come with the packages or are drawn from a seed, so that the page can be
built anywhere.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet


class Data(NamedTuple):
    """Training and test samples; label features where there are any."""

    X: np.ndarray | sp.csr_matrix
    y: np.ndarray | sp.csr_matrix
    X_test: np.ndarray | sp.csr_matrix
    y_test: np.ndarray | sp.csr_matrix
    Z: sp.csr_matrix | None = None


def mixture(seed, n_classes, n_features, noise, n_train, n_test):
    """Draw a Gaussian for each class, with centers from N(0, 1), and samples of them.

    Every class has training samples. `noise` is the standard deviation of samples from
    their center, in each feature.
    """
    rng = np.random.RandomState(seed)
    centers = rng.randn(n_classes, n_features)
    parts = []
    for n in (n_train, n_test):
        y = rng.permutation(np.arange(n) % n_classes)
        X = centers[y] + noise * rng.randn(n, n_features)
        parts += [X.astype(np.float32), y]
    return Data(*parts)


def digits(seed):
    """Return scikit-learn's 1797 digits, half of them for testing, in -1..1."""
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(
        (X / 8 - 1).astype(np.float32), y, test_size=0.5, random_state=seed, stratify=y
    )
    return Data(X, y, X_test, y_test)


load = lru_cache(load_wordnet)


@lru_cache
def wordnet(n_classes, n_each=None):
    """Return the samples of the most frequent direct hypernyms, as TF-IDF.

    Of each class the first `n_each` of either part, if given. Label features are the
    TF-IDF of the classes' own texts.
    """
    train, test = load(), load(subset="test")
    kept = most_frequent(np.bincount(train.target), n_classes)
    parts = []
    for bunch in (train, test):
        rows = np.sort(
            np.concatenate(
                [np.flatnonzero(bunch.target == label)[:n_each] for label in kept]
            )
        )
        texts = np.array(bunch.data, dtype=object)[rows]
        parts += [texts, np.searchsorted(kept, bunch.target[rows])]
    vectorizer = TfidfVectorizer(min_df=2, dtype=np.float32)
    texts, y, texts_test, y_test = parts
    X, X_test = vectorizer.fit_transform(texts), vectorizer.transform(texts_test)
    Z = vectorizer.transform([train.label_texts[label] for label in kept])
    return Data(X, y, X_test, y_test, Z)


@lru_cache
def wordnet_ancestors(n_labels, n_train, n_test):
    """Return samples with all their ancestors among the most frequent ones.

    The samples are drawn once, among those that have a label left.
    """
    rng = np.random.RandomState(0)
    train = load(multilabel=True)
    test = load(multilabel=True, subset="test")
    kept = most_frequent(np.asarray(train.target.sum(0)).ravel(), n_labels)
    parts = []
    for bunch, n in ((train, n_train), (test, n_test)):
        Y = bunch.target[:, kept]
        rows = np.sort(rng.permutation(np.flatnonzero(np.diff(Y.indptr)))[:n])
        parts += [np.array(bunch.data, dtype=object)[rows], Y[rows]]
    vectorizer = TfidfVectorizer(min_df=2, dtype=np.float32)
    texts, Y, texts_test, Y_test = parts
    X, X_test = vectorizer.fit_transform(texts), vectorizer.transform(texts_test)
    return Data(X, Y, X_test, Y_test)


def most_frequent(counts, n):
    """Return the n labels with the largest counts, in ascending order."""
    return np.sort(np.argsort(-counts, kind="stable")[:n])


def network(strategy, seed, **settings):
    """Return an estimator with the network alone, which the papers are about.

    With float32, the numbers of the page are the same on all machines. "auto" uses
    bfloat16 where the processor has instructions for it.
    """
    settings = {"hidden_layer_sizes": (128,), "random_state": seed, **settings}
    clf = MHEClassifier(strategy, model="network", dtype="float32")
    return clf.set_params(**settings)


def percent_right(estimator, X, y):
    """Return the accuracy in per cent."""
    return 100 * estimator.score(X, y)
