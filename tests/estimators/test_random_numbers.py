"""Random numbers: what fixes results, and that global generators are left alone."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from estimator_problems import (
    assert_same_model,
    differ,
    every,
    make,
    make_data,
)
from numpy.testing import assert_array_equal
from sklearn.base import clone
from user_modules import Dense

from skmhe import MHEClassifier


@every
def test_same_seed_same_result(cls, strategy):
    X, y = make_data(cls)
    options = {"dropout": (0.1, 0.2), "max_iter": 2}
    a, b = (make(cls, strategy, **options).fit(X, y) for _ in range(2))
    assert_same_model(a, b)
    assert a.loss_curve_ == b.loss_curve_
    assert_same_model(b, a.fit(X, y))  # also in the next call of the same
    other = make(cls, strategy, **options | {"random_state": 1}).fit(X, y)
    assert differ(a, other)


@every
def test_random_state_instance(cls, strategy):
    X, y = make_data(cls)
    a = make(cls, strategy)
    a.random_state = np.random.RandomState(3)
    rng = np.random.RandomState(3)
    b, c = make(cls, strategy), make(cls, strategy)
    b.random_state = c.random_state = rng
    assert_same_model(a.fit(X, y), b.fit(X, y))
    # An instance goes on, so that the next fit draws other numbers.
    assert differ(a, c.fit(X, y))


@pytest.mark.parametrize("seed", [0, "instance"])
@every
def test_global_random_states_are_left_alone(cls, strategy, seed):
    X, y = make_data(cls)
    clf = make(
        cls,
        strategy,
        dropout=(0.0, 0.2),
        label_order="random",
        early_stopping=True,
        max_iter=2,
        random_state=np.random.RandomState(0) if seed == "instance" else seed,
    )
    torch_state = torch.get_rng_state()
    numpy_state = np.random.get_state()[1:3]  # noqa: NPY002
    clf.fit(X, y)
    clf.set_params(early_stopping=False).partial_fit(X, y)
    clf.predict(X)
    clf.predict_proba(X)
    clf.predict_topk(X)
    assert torch.equal(torch.get_rng_state(), torch_state)
    keys, position = np.random.get_state()[1:3]  # noqa: NPY002
    assert_array_equal(keys, numpy_state[0])
    assert position == numpy_state[1]


@every
def test_result_does_not_depend_on_the_global_generators(cls, strategy):
    X, y = make_data(cls)
    options = {"dropout": (0.1, 0.2), "max_iter": 2}
    a = make(cls, strategy, **options).fit(X, y)
    torch.rand(3)
    np.random.rand(3)  # noqa: NPY002
    assert_same_model(a, make(cls, strategy, **options).fit(X, y))


def test_a_failed_fit_restores_the_global_generator_of_torch():
    X, y = make_data()
    state = torch.get_rng_state()
    with pytest.raises(ValueError, match="diverged"):
        make(dropout=0.2, learning_rate_init=1e30).fit(X, y)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    "params", [{"dropout": 0.3}, {"backbone": Dense, "backbone__dropout": 0.3}]
)
def test_fits_in_threads_are_those_of_one_thread(params):
    X, y = np.random.RandomState(0).rand(240, 6), np.arange(240) % 6
    clf = MHEClassifier(random_state=0, batch_size=10, max_iter=3, model="network")
    clf.set_params(**params)

    def fit(_=None):
        return clone(clf).fit(X, y).predict_proba(X)

    expected, before = fit(), torch.get_rng_state()
    with ThreadPoolExecutor(3) as pool:
        for found in pool.map(fit, range(3)):
            assert_array_equal(found, expected)
    assert torch.equal(torch.get_rng_state(), before)
