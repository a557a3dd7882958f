"""What "auto" stands for in training."""

import pytest

from skmhe.training.plan import resolve_plan

SETTINGS = {
    "max_iter": 3,
    "learning_rate": "linear",
    "n_iter_no_change": 2,
}


def resolve(n_samples=100, multilabel=False, batch_size=8, rate=0.5, **settings):
    return resolve_plan(
        n_samples,
        multilabel,
        batch_size=batch_size,
        learning_rate_init=rate,
        **SETTINGS | settings,
    )


@pytest.mark.parametrize(
    ("n_samples", "expected"),
    [(1, 16), (64 * 16, 16), (64 * 17, 17), (64 * 1024, 1024), (10**6, 1024)],
)
def test_batches_give_an_epoch_many_steps(n_samples, expected):
    assert resolve(n_samples, batch_size="auto").batch_size == expected
    assert resolve(n_samples, batch_size=7).batch_size == 7


@pytest.mark.parametrize(
    ("multilabel", "batch_size", "has_user_backbone", "expected"),
    [
        (False, 8, False, 7.5e-3),
        (True, 512, False, 1e-2),
        (False, 2048, False, 1.5e-2),  # the root of 4 times as many samples
        (True, 1024, False, 1e-2 * 2**0.5),
        (True, 2048, True, 1e-3),
    ],
)
def test_learning_rates(multilabel, batch_size, has_user_backbone, expected):
    options = {"has_user_backbone": has_user_backbone}
    plan = resolve(100, multilabel, batch_size, "auto", **options)
    assert plan.learning_rate_init == pytest.approx(expected)
    plan = resolve(100, multilabel, batch_size, 0.25, **options)
    assert plan.learning_rate_init == 0.25


def test_settings_are_passed_on():
    plan = resolve(weight_decay=0.5)
    assert plan.weight_decay == 0.5
    assert {name: getattr(plan, name) for name in SETTINGS} == SETTINGS
