"""What "auto" stands for in training."""

import pytest

from skmhe.training.plan import resolve_plan

SETTINGS = {
    "max_iter": 3,
    "learning_rate": "linear",
    "n_iter_no_change": 2,
}


def resolve(n_samples=100, batch_size=8, rate=0.5, **settings):
    return resolve_plan(
        n_samples,
        batch_size=batch_size,
        learning_rate_init=rate,
        auto_rate=0.02,
        steps_per_epoch=32,
        max_auto_batch=1024,
        **SETTINGS | settings,
    )


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(1, 16), (32 * 16, 16), (32 * 17, 17), (32 * 1024, 1024), (10**6, 1024)],
)
def test_batches_give_an_epoch_many_steps(n_samples, expected):
    assert resolve(n_samples, batch_size="auto").batch_size == expected
    assert resolve(n_samples, batch_size=7).batch_size == 7


def test_learning_rates():
    assert resolve(rate="auto").learning_rate_init == 0.02
    assert resolve(rate=0.25).learning_rate_init == 0.25


def test_settings_are_passed_on():
    plan = resolve(max_grad_norm=0.5)
    assert plan.max_grad_norm == 0.5
    assert {name: getattr(plan, name) for name in SETTINGS} == SETTINGS
