"""What users call: methods with conditions, forms of predictions, and tags."""

import inspect
import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from test_parameter_objects import Layers, layers

from skmhe import (
    MHEClassifier,
    MHEMultiLabelClassifier,
    Product,
    predict_topk,
)

N, D, C = 60, 6, 5
RNG = np.random.RandomState(0)
Y_1D = np.arange(N) % C
X = RNG.randn(C, D)[Y_1D] + 0.1 * RNG.randn(N, D)
both = pytest.mark.parametrize("cls", [MHEClassifier, MHEMultiLabelClassifier])


def make(cls=MHEClassifier, **params):
    base = {"max_iter": 2, "hidden_layer_sizes": (4,), "random_state": 0}
    return cls(**(base | params))


@both
def test_linear_classifiers_have_no_partial_fit(cls):
    clf = make(cls, model="linear")
    assert not hasattr(clf, "partial_fit")
    with pytest.raises(AttributeError, match=r"^model='linear' has no partial_fit"):
        clf.partial_fit(X, Y_1D)
    with pytest.raises(AttributeError, match=r"^model='linear' has no partial_fit"):
        cls.partial_fit(clf, X, Y_1D)
    assert hasattr(clf.set_params(model="both"), "partial_fit")


@both
def test_features(cls):
    for params, has in [
        ({}, True),
        ({"model": "linear"}, False),
        ({"hidden_layer_sizes": ()}, False),
        ({"hidden_layer_sizes": (), "backbone": layers}, True),
    ]:
        clf = make(cls, **params)
        methods = "transform", "fit_transform", "get_feature_names_out", "set_output"
        pipeline = make_pipeline(StandardScaler(), clf)
        for _ in ("before", "after"):
            assert [hasattr(clf, name) for name in methods] == [has] * 4
            # Of the other two methods, scikit-learn's pipelines do not ask their steps.
            assert hasattr(pipeline, "transform") == has
            clf.fit(X, Y_1D)
        if has:
            names = pipeline.fit(X, Y_1D).get_feature_names_out()
            assert len(names) == pipeline.transform(X).shape[1]
        else:
            assert pipeline.set_output(transform="pandas").fit(X, Y_1D).predict(X).any()
            with pytest.raises(AttributeError, match="get_feature_names_out"):
                pipeline.get_feature_names_out()
    clf = make(cls, model="linear")
    for name in ("transform", "fit_transform", "get_feature_names_out"):
        for owner in (clf, make_pipeline(clf)[-1]):
            assert not hasattr(owner, name)
            with pytest.raises(AttributeError, match="has no features but X"):
                getattr(owner, name)
        with pytest.raises(AttributeError, match="has no features but X"):
            getattr(cls, name)(clf, X)
    assert not hasattr(make_pipeline(clf), "transform")


@both
def test_methods_with_a_condition_are_methods(cls):
    clf = make(cls)
    names = "partial_fit", "transform", "fit_transform", "get_feature_names_out"
    for name in (*names, "top_features"):
        method = getattr(clf, name)
        assert (method.__name__, method.__self__) == (name, clf)
        assert method.__doc__ == getattr(cls, name).__doc__
        unbound = list(inspect.signature(getattr(cls, name)).parameters)
        assert unbound == ["self", *inspect.signature(method).parameters]


@both
@pytest.mark.parametrize(
    "params", [{}, {"model": "linear"}, {"hidden_layer_sizes": ()}], ids=str
)
def test_notebooks_show_and_complete_estimators(cls, params):
    clf = make(cls, **params)
    assert "_n_features_out" not in dir(clf)
    clf.fit(X, Y_1D)
    has_features = params == {}
    assert ("_n_features_out" in dir(clf)) == has_features
    text = " ".join(re.sub("<[^>]*>", " ", clf._repr_html_()).split())
    # As scikit-learn tells how many features transformers make.
    assert ("4 features mheclassifier0" in text.lower()) == has_features or (
        "4 features mhemultilabelclassifier0" in text.lower()
    )


def test_containers_of_features():
    clf = make().set_output(transform="pandas")
    frame = clf.fit_transform(X, Y_1D, sample_weight=np.ones(N))
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == [f"mheclassifier{i}" for i in range(4)]
    plain = make().fit(X, Y_1D)
    assert_array_equal(plain.transform(X), frame.to_numpy())
    assert plain.transform(X).dtype == np.float32
    with config_context(transform_output="pandas"):
        assert isinstance(plain.transform(X), pd.DataFrame)
    assert not hasattr(make(model="linear"), "set_output")


def test_tags():
    tags = get_tags(make())
    assert tags.input_tags.sparse
    assert not tags.input_tags.three_d_array
    assert not tags.classifier_tags.multi_label
    assert tags.transformer_tags.preserves_dtype == ["float32"]
    tags = get_tags(make(backbone=Layers))
    assert not tags.input_tags.sparse
    assert tags.input_tags.three_d_array
    for strategy, multi_label in [
        ("auto", True),
        ("cascade", True),
        ("product", False),
        (Product(), False),
        ("nonsense", True),
        (3, True),
    ]:
        tags = get_tags(make(MHEMultiLabelClassifier, strategy=strategy))
        assert tags.classifier_tags.multi_label == multi_label


def test_search_over_parameter_objects():
    grid = [
        {"mheclassifier__strategy": ["full", Product()]},
        {
            "mheclassifier__strategy": ["product"],
            "mheclassifier__strategy__rank": [2],
            "mheclassifier__linear__C": [0.1],
        },
        {"mheclassifier__backbone": [layers], "mheclassifier__backbone__width": [3]},
    ]
    pipeline = make_pipeline(StandardScaler(), make())
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X, Y_1D)
    assert len(search.cv_results_["params"]) == 4
    labels, scores = predict_topk(search, X, k=2)
    assert_array_equal(labels[:, 0], search.predict(X))
    assert scores.shape == (N, 2)
    assert clone(search.best_estimator_).get_params()["mheclassifier__max_iter"] == 2


@both
def test_parameters_are_validated_when_fitting(cls):
    with pytest.raises(ValueError, match=r"'n_heads' parameter of MHE.* must be"):
        make(cls, n_heads=0).fit(X, Y_1D)
    # Millions of them would take hours.
    with pytest.raises(ValueError, match=r"'n_heads' .* in the range \[1, 64\]"):
        make(cls, n_heads=10**6).fit(X, Y_1D)
    with pytest.raises(ValueError, match=r"head_sizes has 1000000 lengths, but must"):
        make(cls, head_sizes=[2] * 10**6).fit(X, Y_1D)
    clf = make(cls).set_params(strategy="cascade", strategy__beam_width=0)
    with pytest.raises(ValueError, match=r"'beam_width' parameter of Cascade \(str"):
        clf.fit(X, Y_1D)
    assert not hasattr(clf, "classes_")
