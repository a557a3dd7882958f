"""What happened in training: one record, and what scikit-learn's names are of it."""

from collections.abc import Iterable, Mapping
from typing import Any


class TrainingHistory:
    """The epochs of an estimator, in `history_`, and views of them."""

    history_: list[dict[str, Any]]

    # As in scikit-learn's MLPClassifier. Properties, so that all say the same.

    @property
    def loss_curve_(self) -> list[float]:
        """Mean training loss of each complete epoch."""
        return [epoch["loss"] for epoch in self.history_]

    @property
    def loss_(self) -> float | None:
        """Mean training loss of the last complete epoch."""
        return self.history_[-1]["loss"] if self.history_ else None

    @property
    def validation_scores_(self) -> list[float] | None:
        """Score of the held-out samples after each epoch that had some."""
        name = "validation_score"
        return [epoch[name] for epoch in self.history_ if name in epoch] or None

    def _set_history(
        self, epochs: Iterable[Mapping[str, float]], goes_on: bool
    ) -> None:
        """Keep what happened in some epochs, after those before if training went on."""
        before = getattr(self, "history_", []) if goes_on else []
        first = len(before) + 1
        numbered = [{"epoch": i, **facts} for i, facts in enumerate(epochs, first)]
        # A new list: copies of the estimator share the one that they had.
        self.history_ = [*before, *numbered]
