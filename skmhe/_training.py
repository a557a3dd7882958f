"""Batches and the training loop; nothing here has seen an estimator."""

import copy
import math
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import torch
from tqdm.auto import tqdm

from skmhe._centroids import Centroids, TrainingCentroids
from skmhe._decoding import features, row_chunks
from skmhe._network import rows_to_tensor, to_tensor
from skmhe._offsets import (
    CentroidOffsets,
    EncoderOffsets,
    SumOffsets,
    TrainingOffsets,
)
from skmhe._optimizing import (
    clip_gradients,
    make_average,
    make_optimizer,
    make_schedule,
)
from skmhe._rows import unit_rows

# "auto" batches: so many steps an epoch at least, as few samples need many steps
# and many samples need large batches.
MIN_STEPS_PER_EPOCH = 64
MIN_AUTO_BATCH, MAX_AUTO_BATCH = 16, 1024
# By whether a sample may have several labels; chosen on held-out training samples.
AUTO_RATES = {False: 5e-3, True: 1e-2}
# For networks of any kind: that of torch's AdamW.
USER_BACKBONE_RATE = 1e-3
# Larger batches have less noise and fewer steps: the rate grows with their root.
RATED_BATCH = 512


class TrainingData(NamedTuple):
    """Samples in rows, with targets as positions in the label order."""

    X: np.ndarray | sp.csr_array  # shape: (n, n_features), float32
    y: np.ndarray | sp.csr_array  # shape: (n,) positions, or (n, n_labels) 0/1
    sample_weight: np.ndarray | None  # shape: (n,), float32, of mean 1
    # Of these samples, by position; or of others, which leaves no sample out.
    centroids: TrainingCentroids | Centroids | None = None

    def take(self, rows):
        """Return some rows."""
        weight = self.sample_weight
        weight = None if weight is None else weight[rows]
        centroids = self.centroids
        if isinstance(centroids, TrainingCentroids):
            centroids = centroids.take(rows)
        return TrainingData(self.X[rows], self.y[rows], weight, centroids)


class TrainingPlan(NamedTuple):
    """How to train; names as in `sklearn.neural_network.MLPClassifier`."""

    max_iter: int
    batch_size: int
    learning_rate_init: float
    learning_rate: str
    alpha: float
    tol: float
    n_iter_no_change: int
    verbose: bool
    dtype: torch.dtype | None = None  # of products; None: that of the weights
    backbone_learning_rate: float | dict | None = None  # None: learning_rate_init
    max_grad_norm: float | None = None
    averaging_decay: float | None = None


def resolve_plan(
    n_samples,
    multilabel,
    *,
    batch_size,
    learning_rate_init,
    user_backbone=False,
    **settings,
):
    """Return a plan whose settings of "auto" are derived from the data."""
    if learning_rate_init == "auto" and user_backbone:
        learning_rate_init = USER_BACKBONE_RATE
    if batch_size == "auto":
        batch_size = n_samples // MIN_STEPS_PER_EPOCH
        batch_size = min(max(batch_size, MIN_AUTO_BATCH), MAX_AUTO_BATCH)
    if learning_rate_init == "auto":
        learning_rate_init = AUTO_RATES[multilabel]
        learning_rate_init *= max(1.0, (batch_size / RATED_BATCH) ** 0.5)
    return TrainingPlan(
        batch_size=batch_size, learning_rate_init=learning_rate_init, **settings
    )


def batch_slices(n, batch_size):
    """Return the places of an epoch's batches in its order of n samples.

    A single sample that is left over joins the last batch: batch normalisation cannot
    be trained on one.
    """
    starts = list(range(0, n, batch_size))
    if n > batch_size > 1 and n % batch_size == 1:
        starts.pop()
    return [slice(a, b) for a, b in pairwise([*starts, n])]


class History:
    """What happened in training."""

    def __init__(self):
        self.loss_curve = []
        self.validation_scores = []

    @property
    def n_iter(self):
        """Number of passes over the training data."""
        return len(self.loss_curve)

    def has_stalled(self, plan):
        """Tell whether nothing improved by `tol` for `n_iter_no_change` epochs."""
        if self.validation_scores:
            values, sign = self.validation_scores, 1
        else:
            values, sign = self.loss_curve, -1
        gains, best = 0, -math.inf
        for value in values:
            gains = 0 if sign * value > best + plan.tol else gains + 1
            best = max(best, sign * value)
        return gains >= plan.n_iter_no_change


@contextmanager
def seeded(seed, device):
    """Seed torch for a while, and put its generators back as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.random.default_generator.manual_seed(seed)
        if devices:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def targets_to_tensor(y, device):
    """Return a batch's targets: positions, or a sparse indicator."""
    if isinstance(y, np.ndarray):
        return to_tensor(y).to(device)
    samples = np.repeat(np.arange(y.shape[0]), np.diff(y.indptr))
    # Canonical CSR is sorted by row and column, which is what coalesced means.
    return torch.sparse_coo_tensor(
        torch.from_numpy(np.stack([samples, y.indices.astype(np.int64)])),
        torch.ones(y.nnz),
        y.shape,
        is_coalesced=True,
        check_invariants=False,
    ).to(device)


def _offsets(network, batch):
    """Return the similarities that the head adds to its scores, or None."""
    if batch.centroids is None:
        return None
    X, scale = unit_rows(batch.X), network.log_centroid_scale.exp()
    if isinstance(batch.centroids, TrainingCentroids):
        return TrainingOffsets(batch.centroids, X, scale)
    return CentroidOffsets(batch.centroids, X, scale)


def train_step(network, optimizer, batch, label_weight, plan, encoder_loss=None):
    """Take one step on a batch, and return its loss.

    ``encoder_loss(inputs, y, weight)`` is the label encoder's, in a joint loss.
    """
    device = next(network.parameters()).device
    inputs = rows_to_tensor(batch.X, device)
    targets = targets_to_tensor(batch.y, device)
    weight = batch.sample_weight
    weight = None if weight is None else to_tensor(weight).to(device)
    rounded = nullcontext()
    if plan.dtype is not None:
        rounded = torch.autocast(device.type, plan.dtype)
    with rounded:
        with network.head.shifted(_offsets(network, batch)) as head:
            loss = head.loss(network.features(inputs), targets, weight, label_weight)
        if encoder_loss is not None:
            share = network.spec.encoder_weight
            loss = (1 - share) * loss + share * encoder_loss(inputs, batch.y, weight)
    # The optimiser's zero_grad would import torch's compiler; see RowAdamW.
    network.zero_grad()
    loss.backward()
    if plan.max_grad_norm is not None:
        clip_gradients(network.parameters(), plan.max_grad_norm)
    optimizer.step()
    return loss.item()


class Progress:
    """Counts the steps: moves the bar, the learning rates and the mean of weights."""

    def __init__(self, network, optimizer, plan, n_steps):
        self.network = network
        self.schedule = make_schedule(optimizer, plan.learning_rate, n_steps)
        self.average = make_average(network, plan.averaging_decay)
        self.bar = tqdm(total=n_steps, unit="batch", disable=not plan.verbose)

    @property
    def kept(self):
        """The network whose weights are kept: the mean, if there is one."""
        return self.network if self.average is None else self.average.module

    def end_step(self):
        """Go on to the next step."""
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.schedule is not None:
            self.schedule.step()
        self.bar.update()

    def end_epoch(self, history):
        """Show the epoch's loss and score."""
        report = {"epoch": history.n_iter, "loss": f"{history.loss_curve[-1]:.4f}"}
        if history.validation_scores:
            report["validation"] = f"{history.validation_scores[-1]:.4f}"
        self.bar.set_postfix(report)


def _is_finite(tensor):
    """Tell whether all values are finite, without an array as large as the tensor."""
    return not tensor.numel() or all(map(math.isfinite, tensor.detach().aminmax()))


def run_epoch(network, optimizer, data, plan, rng, label_weight, progress, labels=None):
    """Pass over the data once in random order, and return the mean loss."""
    n = data.X.shape[0]
    network.train()
    order = rng.permutation(n) if labels is None else labels.order(n, rng)
    total = 0.0
    for places in batch_slices(n, plan.batch_size):
        # Sorted rows slice faster; within a batch their order means nothing.
        rows = np.sort(order[places])
        batch, encoder_loss = data.take(rows), None
        if labels is not None:
            encoder_loss = partial(
                labels.loss, network, rows=rows, rng=rng, label_weight=label_weight
            )
        total += len(rows) * train_step(
            network, optimizer, batch, label_weight, plan, encoder_loss
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


@torch.inference_mode()
def validation_score(network, data, labels=None):
    """Return the weighted share of samples whose first predicted label is true.

    By the network, the centroids it is trained beside, without the sample itself, and
    the label encoder.
    The linear classifiers have no part in it: they have seen these samples.
    """
    network.eval()
    device = next(network.parameters()).device
    correct = []
    table = None if labels is None else network.label_table(labels.Z, keep=False)
    for rows in row_chunks(data.X.shape[0], network.head.n_scores(1)):
        batch = data.take(rows)
        inputs = rows_to_tensor(batch.X, device)
        parts = [_offsets(network, batch)]
        if labels is not None:
            embedded = network.embed_samples(inputs)
            parts.append(EncoderOffsets(embedded, table, network.spec))
        parts = [part for part in parts if part is not None]
        offsets = SumOffsets(parts, lambda scores: scores) if parts else None
        with network.head.shifted(offsets) as head:
            features = network.features(inputs)
            # A copy: SciPy wants to index with arrays of their own memory.
            best = head.topk(features, 1)[0][:, 0].cpu().numpy().copy()
        if isinstance(data.y, np.ndarray):
            correct.append(best == batch.y)
        else:
            hits = batch.y[np.arange(len(best)), best]
            correct.append(np.asarray(hits).ravel() != 0)
    return float(np.average(np.concatenate(correct), weights=data.sample_weight))


def with_features(network, data):
    """Return data (or None) with the backbone's features in place of the samples."""
    if data is None:
        return None
    return data._replace(X=features(network, data.X))


def train(
    network,
    data,
    plan,
    rng,
    validation=None,
    label_weight=None,
    optimizer=None,
    labels=None,
    first_epoch=0,
):
    """Train a network in place.

    Parameters
    ----------
    network : Network
        On the device to train on.
    data : TrainingData
        Training samples.
    plan : TrainingPlan
        How to train.
    rng : RandomState
        Draws the order of the samples; dropout is torch's (see `seeded`).
    validation : TrainingData, default=None
        Samples to score after each epoch; the weights of the best epoch are kept.
    label_weight : Tensor of shape (n_labels,), default=None
        Weights of the labels.
    optimizer : Optimizer, default=None
        Goes on with this one instead of a new one.
    labels : LabelTraining, default=None
        Trains the label encoder, too.
    first_epoch : int, default=0
        Number of epochs that came before.

    Returns
    -------
    History
        Losses and scores.
    """
    if optimizer is None:
        optimizer = make_optimizer(network, plan)
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


def hold_out(y, fraction, rng):
    """Split rows at random for early stopping: those to train on, and the others.

    One label a sample: the first sample of each label, in random order, is trained
    on, so that no label is lost.
    """
    n = y.shape[0]
    order = rng.permutation(n)
    eligible = np.ones(n, dtype=bool)
    if isinstance(y, np.ndarray):
        eligible[np.unique(y[order], return_index=True)[1]] = False
    n_held_out = max(1, round(fraction * n))
    held_out = np.flatnonzero(eligible)[:n_held_out]
    if len(held_out) == 0 or len(held_out) == n:
        raise ValueError(
            f"early_stopping=True with validation_fraction={fraction} leaves no "
            f"samples to validate or to train on, of {n}: use more samples, or "
            "early_stopping=False."
        )
    kept = np.ones(n, dtype=bool)
    kept[held_out] = False
    return order[kept], order[held_out]
