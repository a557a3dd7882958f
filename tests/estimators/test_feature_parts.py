"""The transformer that makes samples of two parts, alone and in pipelines."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from user_modules import Tokens

from skmhe import FeatureParts, MHEClassifier, Parts, predict_topk

WORDS = "red", "green", "blue", "black"
TEXTS = [f"{WORDS[i % 4]} {WORDS[i % 4]} thing {i % 7}" for i in range(40)]
Y = np.arange(40) % 4


def tokens(texts, length=5):
    """Return the length of each of the first words, and 0 after the last one."""
    ids = np.zeros((len(texts), length), np.int64)
    for row, text in zip(ids, texts, strict=True):
        words = text.split()[:length]
        row[: len(words)] = [len(word) for word in words]
    return ids


def to_array(X):
    return X.toarray()


class FitOnly(BaseEstimator):
    """A transformer without fit_transform, which remembers what it was given."""

    def fit(self, X, y=None):
        self.given_ = len(X), None if y is None else len(y)
        return self

    def transform(self, X):
        return tokens(X)


def make(**parts):
    parts = {"network": FitOnly(), "linear": TfidfVectorizer()} | parts
    return FeatureParts(**parts)


def test_the_results_are_kept_apart():
    parts = make()
    found = parts.fit_transform(TEXTS, Y)
    assert type(found) is Parts
    wanted = TfidfVectorizer().fit_transform(TEXTS)
    for each in (found, parts.transform(TEXTS), make().fit(TEXTS).transform(TEXTS)):
        assert_array_equal(each.network, tokens(TEXTS))
        assert_array_equal(each.linear.toarray(), wanted.toarray())
    assert parts.network_.given_ == (40, 40)
    assert make().fit(TEXTS).network_.given_ == (40, None)
    # What was passed is left as it is.
    assert not hasattr(parts.network, "given_")
    assert not hasattr(parts.linear, "vocabulary_")


def test_samples_as_they_are():
    X = np.random.RandomState(0).rand(8, 3)
    parts = FeatureParts(network=StandardScaler(), linear="passthrough")
    found = parts.fit_transform(X)
    assert_array_equal(found.linear, X)
    assert_array_equal(found.network, StandardScaler().fit_transform(X))
    assert_array_equal(parts.fit(X).transform(X[:2]).linear, X[:2])


def test_transformers_are_given_the_labels():
    X = np.random.RandomState(0).rand(40, 6)
    X[:, 2] += Y
    kept = SelectKBest(k=1)
    found = FeatureParts(network="passthrough", linear=kept).fit_transform(X, Y)
    assert_array_equal(found.linear, X[:, 2:3])


def test_parameters_of_both():
    parts = make().set_params(linear__ngram_range=(1, 2), network="passthrough")
    assert parts.linear.ngram_range == (1, 2)
    assert clone(parts).get_params()["linear__ngram_range"] == (1, 2)
    shown = parts._repr_html_()
    assert "TfidfVectorizer" in shown
    assert "FeatureParts" in shown
    fitted = make().fit(TEXTS)
    again = pickle.loads(pickle.dumps(fitted)).transform(TEXTS)
    assert_array_equal(again.network, fitted.transform(TEXTS).network)


def test_errors():
    with pytest.raises(NotFittedError):
        make().transform(TEXTS)
    for wrong in (None, 3, "drop", TfidfVectorizer, Tokens()):
        for method in ("fit", "fit_transform"):
            with pytest.raises(
                TypeError, match=r"linear=[\s\S]* is not a transformer: pass"
            ):
                getattr(make(linear=wrong), method)(TEXTS)
    with pytest.raises(ValueError, match="network has 1 rows and linear 40"):
        make(network=FunctionTransformer(lambda X: np.ones((1, 2)))).fit_transform(
            TEXTS
        )


def test_a_pipeline():
    numbers = make_pipeline(CountVectorizer(), FunctionTransformer(to_array))
    features = make(network=FunctionTransformer(tokens), linear=numbers)
    backbone = {"backbone": Tokens, "max_iter": 3, "device": "cpu", "random_state": 0}
    clf = make_pipeline(features, MHEClassifier(**backbone)).fit(TEXTS, Y)
    assert clf.score(TEXTS, Y) == 1
    assert list(clf[-1].combination_) == ["network", "linear"]
    labels, _ = predict_topk(clf, TEXTS[:3], k=2)
    assert_array_equal(labels[:, 0], Y[:3])
    alone = clone(clf).set_params(mheclassifier__model="network").fit(TEXTS, Y)
    assert list(alone[-1].combination_) == ["network"]


def test_searches_over_both_transformers():
    features = make(network=FunctionTransformer(tokens, kw_args={"length": 3}))
    clf = make_pipeline(
        features,
        MHEClassifier(backbone=Tokens, max_iter=2, device="cpu", random_state=0),
    )
    grid = {
        "featureparts__linear__ngram_range": [(1, 1), (1, 2)],
        "featureparts__network__kw_args": [{"length": 2}, {"length": 4}],
        "mheclassifier__backbone__width": [4],
    }
    search = GridSearchCV(clf, grid, cv=2, error_score="raise").fit(TEXTS, Y)
    assert len(search.cv_results_["params"]) == 4
    assert search.score(TEXTS, Y) == 1
    network = search.best_estimator_[0].network_
    assert network.kw_args == search.best_params_["featureparts__network__kw_args"]
