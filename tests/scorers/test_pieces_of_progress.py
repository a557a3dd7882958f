"""What the pieces of a fit tell of its progress: in all, each round once."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from torch import nn

from skmhe import Backbone, MHEClassifier
from skmhe.labels.clustering import indicator
from skmhe.scorers.linear import fit_levels
from skmhe.scorers.progress import ShownProgress

RNG = np.random.RandomState(0)
X, Y = RNG.randn(96, 10).astype(np.float32), np.arange(96) % 12


class Recorder(ShownProgress):
    """Remembers all that it is told."""

    def __init__(self):
        self.rounds, self.share = [], 0.0

    def _advance(self, share):
        assert threading.current_thread() is threading.main_thread()
        self.share += share

    def _show(self, facts):
        self.rounds.append(([self.part, *facts.items()], self.share))
        self.share = 0.0


@pytest.mark.parametrize("n_threads", [1, 3])
def test_pieces_of_each_level_are_the_whole_of_it(n_threads, use_threads, monkeypatch):
    use_threads(n_threads)
    # Blocks of two labels at the root.
    for name, value in (("BLOCK_SCORES", 2 * len(Y)), ("MIN_BLOCK_LABELS", 1)):
        monkeypatch.setattr(f"skmhe.scorers.linear.fit.{name}", value)
    recorder = Recorder()
    recorder.start("linear classifiers", 2, "level")
    arguments = X, indicator(Y, 12), (6, 2), 1.0, 0.0
    levels, _ = fit_levels(*arguments, progress=recorder)
    assert [told for told, _ in recorder.rounds] == [
        ["linear classifiers", ("level", "1/2")],
        ["linear classifiers", ("level", "2/2")],
    ]
    assert [share for _, share in recorder.rounds] == pytest.approx([1, 1])
    for level, silent in zip(levels, fit_levels(*arguments)[0], strict=True):
        assert_array_equal(level.intercepts, silent.intercepts)


def test_shares_of_batches_are_the_whole_of_an_epoch(monkeypatch):
    made = []

    def record(verbose):
        made.append(Recorder())
        return made[-1]

    monkeypatch.setattr("skmhe.estimators.fitting.make_progress", record)
    backbone = Backbone(nn.Linear, freeze=True, in_features=10, out_features=8)
    MHEClassifier("full", backbone=backbone, max_iter=3, batch_size=20).fit(X, Y)
    shares = [share for _, share in made[0].rounds]
    assert shares == pytest.approx([1, 1, 1, 1])
