"""The training loop; nothing here has seen an estimator."""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from skmhe.nn.heads.base import ExtraScores, Features
from skmhe.scorers.batch import row_chunks, rows_to_tensor, to_tensor, unit_rows
from skmhe.scorers.combination import Bound, Calibration, Combination, Scorer
from skmhe.scorers.label_encoder import LabelEncoderScorer
from skmhe.scorers.network import Network, network_features
from skmhe.scorers.similarity import scores_to_complete
from skmhe.training.data import (
    Targets,
    TrainingData,
    batch_slices,
)
from skmhe.training.label_encoder import LabelTraining
from skmhe.training.optimizer import clip_gradients, make_average, make_schedule
from skmhe.training.plan import TrainingPlan

# The label encoder's loss of a batch, of its inputs, targets and sample weights.
EncoderLoss = Callable[[Features, Targets, Tensor | None], Tensor]


class History:
    """What happened in training."""

    def __init__(self) -> None:
        self.loss_curve: list[float] = []
        self.validation_scores: list[float] = []

    @property
    def n_iter(self) -> int:
        """Number of passes over the training data."""
        return len(self.loss_curve)

    def has_stalled(self, plan: TrainingPlan) -> bool:
        """Tell whether nothing improved by `tol` for `n_iter_no_change` epochs."""
        if self.validation_scores:
            values, sign = self.validation_scores, 1
        else:
            values, sign = self.loss_curve, -1
        n_stalled, best = 0, -math.inf
        for value in values:
            n_stalled = 0 if sign * value > best + plan.tol else n_stalled + 1
            best = max(best, sign * value)
        return n_stalled >= plan.n_iter_no_change


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch for a while, and put its generators back as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def extra_scores(network: Network, batch: TrainingData) -> ExtraScores | None:
    """Return the similarities to centroids that the head completes, if any."""
    if batch.centroids is None:
        return None
    X = unit_rows(batch.X)
    return scores_to_complete(batch.centroids, X, network.centroid_scale)


def train_step(
    network: Network,
    optimizer: torch.optim.Optimizer,
    batch: TrainingData,
    label_weight: Tensor | None,
    plan: TrainingPlan,
    encoder_loss: EncoderLoss | None = None,
) -> float:
    """Take one step on a batch, and return its loss."""
    device = network.device
    inputs = rows_to_tensor(batch.X, device)
    targets = batch.targets(device)
    weight = None
    if batch.sample_weight is not None:
        weight = to_tensor(batch.sample_weight).to(device)
    rounded: Any = nullcontext()
    if plan.dtype is not None:
        rounded = torch.autocast(device.type, plan.dtype)
    with rounded:
        loss = network.head.loss(
            inputs if batch.has_features else network.features(inputs),
            targets,
            weight,
            label_weight,
            extra_scores(network, batch),
        )
        if encoder_loss is not None:
            assert network.spec.encoder is not None
            share = network.spec.encoder.loss_weight
            loss = (1 - share) * loss + share * encoder_loss(inputs, batch.y, weight)
    # The optimizer's zero_grad would import torch's compiler; see RowAdamW.
    network.zero_grad()
    loss.backward()
    if plan.max_grad_norm is not None:
        clip_gradients(network.parameters(), plan.max_grad_norm)
    optimizer.step()
    return loss.item()


class Progress:
    """Counts the steps: moves the bar, the learning rates and the mean of weights."""

    def __init__(
        self,
        network: Network,
        optimizer: torch.optim.Optimizer,
        plan: TrainingPlan,
        n_steps: int,
    ) -> None:
        self.network = network
        self.schedule = make_schedule(optimizer, plan.learning_rate, n_steps)
        self.average = make_average(network, plan.averaging_decay)
        self.bar = tqdm(total=n_steps, unit="batch", disable=not plan.verbose)

    @property
    def kept(self) -> Network:
        """The network whose weights are kept: the mean, if there is one."""
        if self.average is None:
            return self.network
        assert isinstance(self.average.module, Network)
        return self.average.module

    def end_step(self) -> None:
        """Go on to the next step."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.schedule is not None:
            self.schedule.step()
        self.bar.update()

    def end_epoch(self, history: History) -> None:
        """Show the epoch's loss and score."""
        report: dict[str, Any] = {"epoch": history.n_iter}
        report["loss"] = f"{history.loss_curve[-1]:.4f}"
        if history.validation_scores:
            report["validation"] = f"{history.validation_scores[-1]:.4f}"
        self.bar.set_postfix(report)


def _is_finite(tensor: Tensor) -> bool:
    """Tell whether all values are finite, without an array as large as the tensor."""
    if not tensor.numel():
        return True
    low, high = tensor.detach().aminmax()
    return math.isfinite(low) and math.isfinite(high)


def run_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    data: TrainingData,
    plan: TrainingPlan,
    rng: np.random.RandomState,
    label_weight: Tensor | None,
    progress: Progress,
    labels: LabelTraining | None = None,
) -> float:
    """Pass over the data once in random order, and return the mean loss."""
    n = data.X.shape[0]
    network.train()
    order = rng.permutation(n) if labels is None else labels.order(n, rng)
    total = 0.0
    for places in batch_slices(n, plan.batch_size):
        # Sorted rows slice faster; within a batch their order means nothing.
        rows = np.sort(order[places])
        encoder_loss = None
        if labels is not None:
            encoder_loss = partial(
                labels.loss, network, rows=rows, rng=rng, label_weight=label_weight
            )
        total += len(rows) * train_step(
            network, optimizer, data.take(rows), label_weight, plan, encoder_loss
        )
        progress.end_step()
    mean = total / n
    # The last step's damage does not show in the loss.
    finite = all(map(_is_finite, network.parameters()))
    if not (math.isfinite(mean) and finite):
        what = "the weights" if math.isfinite(mean) else "the loss"
        value = "infinite" if math.isfinite(mean) else mean
        raise ValueError(
            f"Training diverged: {what} became {value}. Scale the features of X (for "
            "example with StandardScaler or Normalizer), or lower learning_rate_init="
            f"{plan.learning_rate_init}."
        )
    return mean


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
        encoder = LabelEncoderScorer(network, labels.Z, search)
    correct = []
    for rows in row_chunks(data.X.shape[0], head.n_scores(1)):
        part = data.take(rows)
        batch = network.batch(part.X)
        features = batch.tensor if part.has_features else network.features(batch.tensor)
        scorers: list[Scorer] = [Bound(head.bind(features), can_steer=True)]
        extra = extra_scores(network, part)
        if extra is not None:
            similar = extra(torch.arange(head.n_labels))
            scorers.append(Bound(_LabelScores(similar)))
        if encoder is not None:
            scorers.append(encoder)
        scores = Combination(scorers, Calibration()).bind(batch)
        # A copy: SciPy wants to index with arrays of their own memory.
        best = search.topk(scores, 1)[0][:, 0].cpu().numpy().copy()
        if isinstance(part.y, np.ndarray):
            correct.append(best == part.y)
        else:
            hits = part.y[np.arange(len(best)), best]
            correct.append(np.asarray(hits).ravel() != 0)
    return float(np.average(np.concatenate(correct), weights=data.sample_weight))


def with_features(network: Network, data: TrainingData) -> TrainingData:
    """Return data with the backbone's features in place of the samples."""
    return data._replace(X=network_features(network, data.X), has_features=True)


def train(
    network: Network,
    optimizer: torch.optim.Optimizer,
    data: TrainingData,
    plan: TrainingPlan,
    rng: np.random.RandomState,
    validation: TrainingData | None = None,
    label_weight: Tensor | None = None,
    labels: LabelTraining | None = None,
    first_epoch: int = 0,
) -> History:
    """Train a network in place, on its device.

    `rng` draws the order of the samples; dropout is torch's (see `seeded`). Validation
    samples are scored after each epoch, and the weights of the best one are kept.
    `labels` train the label encoder, too; `first_epoch` epochs came before.
    """
    history, best_state = History(), None
    n_batches = len(batch_slices(data.X.shape[0], plan.batch_size))
    progress = Progress(network, optimizer, plan, plan.max_iter * n_batches)
    with progress.bar:
        for epoch in range(first_epoch, first_epoch + plan.max_iter):
            if labels is not None:
                labels.start_epoch(network, data.X, epoch)
            history.loss_curve.append(
                run_epoch(
                    network, optimizer, data, plan, rng, label_weight, progress, labels
                )
            )
            if validation is not None:
                score = validation_score(progress.kept, validation, labels)
                if score > max(history.validation_scores, default=-1.0):
                    best_state = copy.deepcopy(progress.kept.state_dict())
                history.validation_scores.append(score)
            progress.end_epoch(history)
            if history.has_stalled(plan):
                break
    if best_state is None and progress.average is not None:
        best_state = progress.kept.state_dict()
    if best_state is not None:
        network.load_state_dict(best_state)
    return history
