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
        auto_steps=32,
        **SETTINGS | settings,
    )


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(1, 16), (32 * 16, 16), (32 * 17, 17), (32 * 1024, 1024), (10**6, 1024)],
)
def test_batches_give_an_epoch_many_steps(n_samples, expected):
    assert resolve(n_samples, batch_size="auto").batch_size == expected
    assert resolve(n_samples, batch_size=7).batch_size == 7


@pytest.mark.parametrize(
    ("has_user_backbone", "expected"), [(False, 0.02), (True, 1e-3)]
)
def test_learning_rates(has_user_backbone, expected):
    options = {"has_user_backbone": has_user_backbone}
    assert resolve(rate="auto", **options).learning_rate_init == expected
    assert resolve(rate=0.25, **options).learning_rate_init == 0.25


def test_settings_are_passed_on():
    plan = resolve(weight_decay=0.5)
    assert plan.weight_decay == 0.5
    assert {name: getattr(plan, name) for name in SETTINGS} == SETTINGS
