"""The training loop; nothing here has seen an estimator."""

import copy
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from skmhe.nn.heads.base import ExtraScores
from skmhe.scorers.batch import Batch, row_chunks, unit_rows
from skmhe.scorers.combination import Bound, Combination, Scorer
from skmhe.scorers.generators import Generators
from skmhe.scorers.label_encoder import LabelEncoderScorer
from skmhe.scorers.network import Network, network_features
from skmhe.scorers.parts import Featured
from skmhe.scorers.progress import SILENT, Progress
from skmhe.scorers.similarity import scores_to_complete
from skmhe.scorers.threads import threads_for
from skmhe.training.data import (
    Targets,
    TrainingData,
    batch_slices,
    optional_tensor,
)
from skmhe.training.interruption import Interruption, warn_of_interruption
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.optimizer import clip_gradients, make_average, make_schedule
from skmhe.training.plan import TrainingPlan
from skmhe.training.step_threads import StepThreads

# Smaller improvements of the loss, or of the validation score, count as none.
TOLERANCE = 1e-4


class History:
    """What happened in training: in that of the network, if there is one."""

    def __init__(self, n_linear_steps: int = 0) -> None:
        self.n_linear_steps = n_linear_steps
        # Of each complete epoch: "loss", "validation_score" if samples were held out,
        # "seconds", and the "learning_rate" of its first step.
        self.epochs: list[dict[str, float]] = []
        self.was_cut_short = False  # by Ctrl-C

    @property
    def n_iter(self) -> int:
        """Number of passes over the training data."""
        return len(self.epochs)

    @property
    def losses(self) -> list[float]:
        """Mean losses of the epochs."""
        return [epoch["loss"] for epoch in self.epochs]

    @property
    def validation_scores(self) -> list[float]:
        """Scores of the held-out samples, none without any."""
        name = "validation_score"
        return [epoch[name] for epoch in self.epochs if name in epoch]

    def has_stalled(self, plan: TrainingPlan) -> bool:
        """Tell whether nothing improved for `n_iter_no_change` epochs."""
        values, sign = self.validation_scores, 1
        if not values:
            values, sign = self.losses, -1
        n_stalled, best = 0, -math.inf
        for value in values:
            n_stalled = 0 if sign * value > best + TOLERANCE else n_stalled + 1
            best = max(best, sign * value)
        return n_stalled >= plan.n_iter_no_change

    def last_epoch(self, n_samples: int) -> dict[str, float]:
        """Return what to show of the last epoch, of so many samples."""
        epoch = self.epochs[-1]
        shown = {"loss": epoch["loss"]}
        if "validation_score" in epoch:
            shown["validation"] = epoch["validation_score"]
        # A clock may be too coarse for a short epoch.
        return shown | {"rows/s": n_samples / max(epoch["seconds"], 1e-9)}


def extra_scores(network: Network, batch: TrainingData) -> ExtraScores | None:
    """Return the similarities to centroids that the head completes, if any."""
    if batch.centroids is None:
        return None
    X = unit_rows(batch.linear)
    return scores_to_complete(batch.centroids, X, network.centroid_scale)


def _is_finite(tensor: Tensor) -> bool:
    """Tell whether all values are finite, without an array as large as the tensor."""
    if not tensor.numel():
        return True
    low, high = tensor.detach().aminmax()
    return math.isfinite(low) and math.isfinite(high)


class _LabelScores(NamedTuple):
    """The scores of all labels, of one batch."""

    of_labels: Tensor  # shape: (n, n_labels)

    def labels(self) -> Tensor:
        return self.of_labels


@torch.inference_mode()
def validation_score(
    network: Network, data: TrainingData, labels: LabelTraining | None = None
) -> float:
    """Return the weighted share of samples whose first predicted label is true.

    By the network, the centroids that it is trained to complete (without the sample
    itself), and the label encoder. The linear classifiers have no part in it: they have
    seen these samples.
    """
    network.eval()
    head, search, encoder = network.head, network.head.search, None
    if labels is not None:
        table = labels.embeddings(network)
        encoder = LabelEncoderScorer(network, labels.Z, search, embeddings=table)
    correct = []
    for rows in row_chunks(data.X.shape[0], head.n_scores(1)):
        part = data.take(rows)
        batch = Batch(part.X, network.device)
        features = batch.features(network.features)
        scorers: list[Scorer] = [Bound(head.bind(features), can_steer=True)]
        extra = extra_scores(network, part)
        if extra is not None:
            similar = extra(torch.arange(head.n_labels))
            scorers.append(Bound(_LabelScores(similar)))
        if encoder is not None:
            scorers.append(encoder)
        scores = Combination(scorers).bind(batch)
        # A copy: SciPy wants to index with arrays of their own memory.
        best = search.topk(scores, 1)[0][:, 0].cpu().numpy().copy()
        if isinstance(part.y, np.ndarray):
            correct.append(best == part.y)
        else:
            hits = part.y[np.arange(len(best)), best]
            correct.append(np.asarray(hits).ravel() != 0)
    return float(np.average(np.concatenate(correct), weights=data.sample_weight))


def with_features(
    network: Network, data: TrainingData, progress: Progress = SILENT
) -> TrainingData:
    """Return data with the backbone's features, which are not computed again."""
    features = network_features(network, data.network, progress)
    return data._replace(X=Featured(data.X, features))


class LastData(NamedTuple):
    """The data of the last epoch, in place of the others'."""

    y: Targets
    # Given the network when all other epochs are over, and what trains its label
    # encoder, returns the data.
    make: Callable[[Network, LabelTraining | None], TrainingData]


class Trainer:
    """Trains a network in place, on its device.

    `rng` draws the order of the samples, `generators` what torch draws, such as dropout
    (None: its own do). `labels` train the label encoder, too. `make_model` makes a
    model of a copy of the network, for whoever is told of the progress.
    """

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        data: TrainingData,
        plan: TrainingPlan,
        rng: np.random.RandomState,
        label_weight: Tensor | None = None,
        labels: LabelTraining | None = None,
        progress: Progress = SILENT,
        generators: Generators | None = None,
        last_data: LastData | None = None,
        make_model: Callable[[Network], Any] = lambda network: network,
    ) -> None:
        self.network, self.optimizer, self.plan = network, optimizer, plan
        self.make_model = make_model
        self.drawing = nullcontext if generators is None else generators.drawing
        self.label_weight = label_weight
        self.rng, self.labels = rng, labels
        self.progress, self.threads = progress, StepThreads()
        self._use(data)
        self.last_data, n_steps = last_data, plan.max_iter * len(self.batches)
        if last_data is not None:
            last = batch_slices(last_data.y.shape[0], plan.batch_size)
            n_steps += len(last) - len(self.batches)
        self.schedule = make_schedule(optimizer, plan.learning_rate, n_steps)
        self.average: Any = make_average(network, plan.averaging_decay)

    def _use(self, data: TrainingData) -> None:
        """Train on some data from now on."""
        self.data = data
        self.batches = batch_slices(data.X.shape[0], self.plan.batch_size)

    @property
    def kept(self) -> Network:
        """The network whose weights are kept: the mean, if there is one."""
        return self.network if self.average is None else self.average.module

    def train(
        self, validation: TrainingData | None = None, first_epoch: int = 0
    ) -> History:
        """Train until `max_iter` epochs are over, or nothing improves any more.

        Validation samples are scored after each epoch, and the weights of the best one
        are kept. `first_epoch` epochs came before.

        Ctrl-C ends training after the current step, with a warning. The steps of an
        epoch that it cuts short have trained the weights, but the history only has
        complete epochs. A second Ctrl-C raises KeyboardInterrupt at once.
        """
        history, best_state, is_enough = History(), None, False
        self.progress.start("network", self.plan.max_iter, "epoch")
        with Interruption() as interruption:
            last = first_epoch + self.plan.max_iter - 1
            for epoch in range(first_epoch, last + 1):
                is_last = is_enough or epoch == last
                if is_last and self.last_data is not None:
                    self._use(self.last_data.make(self.kept, self.labels))
                    self.progress.start("network", 1, "epoch")
                self.progress.start_round()
                start, rate = time.perf_counter(), self.optimizer.param_groups[0]["lr"]
                if self.labels is not None:
                    with self.drawing():
                        self.labels.start_epoch(self.network, self.data, epoch)
                loss = self.run_epoch(interruption)
                if loss is None:
                    break
                facts = {"loss": loss}
                if validation is not None:
                    facts["validation_score"] = score = self.validate(validation)
                    if score > max(history.validation_scores, default=-1.0):
                        best_state = copy.deepcopy(self.kept.state_dict())
                seconds = time.perf_counter() - start
                facts |= {"seconds": seconds, "learning_rate": rate}
                history.epochs.append(facts)
                shown = history.last_epoch(self.data.X.shape[0])
                is_enough = self.progress.end_round(self.current_model, **shown)
                is_enough = is_enough or history.has_stalled(self.plan)
                if interruption.requested or is_last:
                    break
                if self.last_data is None and is_enough:
                    break
        if interruption.requested:
            history.was_cut_short = True
            self.progress.close()  # the warning begins a line of its own
            warn_of_interruption(history.n_iter, keeps_best=best_state is not None)
        if best_state is None and self.average is not None:
            best_state = self.kept.state_dict()
        if best_state is not None:
            self.network.load_state_dict(best_state)
        return history

    def current_model(self) -> Any:
        """Return a model of a copy of the network that is kept."""
        return self.make_model(copy.deepcopy(self.kept))

    def validate(self, validation: TrainingData) -> float:
        """Return the score of the network that is kept, see `validation_score`."""
        operations = self.multiply_adds(validation)
        with threads_for(operations), self.threads.fastest(), self.drawing():
            return validation_score(self.kept, validation, self.labels)

    def run_epoch(self, interruption: Interruption) -> float | None:
        """Pass over the data once in random order, and return the mean loss.

        An interruption ends it between two steps; then there is no mean loss.
        """
        n, labels, total, n_seen = self.data.X.shape[0], self.labels, 0.0, 0
        self.network.train()
        order = self.rng.permutation(n) if labels is None else labels.order(n, self.rng)
        operations = self.multiply_adds()
        for places in self.progress.pieces(self.batches, len(self.batches)):
            if interruption.requested:
                break
            # Sorted rows slice faster; within a batch their order means nothing.
            rows = np.sort(order[places])
            with self.threads.step(operations, len(rows)):
                total += len(rows) * self.step(rows)
            n_seen += len(rows)
        mean = total / max(n_seen, 1)
        # The last step's damage does not show in the loss.
        finite = all(map(_is_finite, self.network.parameters()))
        if not (math.isfinite(mean) and finite):
            what = "the weights" if math.isfinite(mean) else "the loss"
            value = "infinite or NaN" if math.isfinite(mean) else mean
            raise ValueError(
                f"Training diverged: {what} became {value}. Scale the features of X "
                "(for example with StandardScaler or Normalizer), or lower "
                f"learning_rate_init={self.plan.learning_rate_init}."
            )
        return mean if n_seen == n else None

    def multiply_adds(self, validation: TrainingData | None = None) -> float:
        """Estimate those of the forward pass of a step, or of validation samples."""
        data = self.data if validation is None else validation
        n, network = data.X.shape[0], self.network
        n_stored = data.network.size / n
        if validation is None:
            n = min(n, self.plan.batch_size)
        if data.has_features:
            return n * network.head.multiply_adds()
        result = n * network.multiply_adds(n_stored)
        if self.labels is not None:
            result += self.labels.multiply_adds(network, n, n_stored)
        return result

    def step(self, rows: np.ndarray) -> float:
        """Take one step on some rows of the data, and return their loss."""
        network, plan = self.network, self.plan
        # The optimizer's zero_grad would import torch's compiler; see RowAdamW.
        network.zero_grad()
        with self.drawing():
            loss = self._loss(rows)
            loss.backward()
        if plan.max_grad_norm is not None:
            clip_gradients(network.parameters(), plan.max_grad_norm)
        self.optimizer.step()
        # Within an autocast of the user, even one that is off, torch would keep what
        # weights were rounded to before the step.
        torch.clear_autocast_cache()
        if self.average is not None:
            self.average.update_parameters(network)
        if self.schedule is not None:
            self.schedule.step()
        return loss.item()

    def _loss(self, rows: np.ndarray) -> Tensor:
        """Return the mean loss of some rows: of the head, and of the label encoder."""
        network, part, device = self.network, self.data.take(rows), self.network.device
        batch = Batch(part.X, device)
        weight = optional_tensor(part.sample_weight, device)
        rounded: Any = nullcontext()
        if self.plan.dtype is not None:
            rounded = torch.autocast(device.type, self.plan.dtype)
        with rounded:
            loss = network.head.loss(
                batch.features(network.features),
                part.targets(device),
                weight,
                self.label_weight,
                extra_scores(network, part),
            )
            if self.labels is None:
                return loss
            assert network.spec.encoder is not None
            share = network.spec.encoder.loss_weight
            of_encoder = self.labels.loss(
                network, batch, part.y, weight, rows, self.rng, self.label_weight
            )
            return (1 - share) * loss + share * of_encoder
