"""How much memory a fit takes, and how much there is."""

import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from skmhe.scorers.linear.fit import BLOCK_SCORES
from skmhe.scorers.linear.scaling import DENSE_DATA_SHARE, is_dense
from skmhe.scorers.network import HeadSpec, NetworkSpec
from skmhe.scorers.progress import Progress
from skmhe.training.data import TrainingData
from skmhe.training.plan import TrainingPlan

MIB = 2**20
# A fit that takes less does not tell so.
LEAST_TOLD = 2**27
# Of float32: a weight and its gradient (rows of a table have one moment each), and a
# score of a step with its gradient and what is computed of both.
BYTES_PER_WEIGHT, BYTES_PER_SCORE = 2 * 4, 6 * 4
# A pair of a label and a feature that occur together: its sum, and how it is sorted.
BYTES_PER_PAIR = 24
# A value of sparse samples, of unit length and with its transposed copy.
BYTES_PER_VALUE = 12
# A score of a block of linear classifiers, with all that a Newton step needs of it.
BYTES_PER_BLOCK_SCORE = 16 * 4
SPARSE_REMEDY = (
    f"sparse X of which at most {DENSE_DATA_SHARE:.0%} of the values are stored"
)
# What can be done about a part that takes most of the memory.
REMEDIES = {
    "weights of the network": "smaller hidden_layer_sizes, or strategy='cascade' or "
    "'product'",
    "scores of a step": "a smaller batch_size, or strategy='sampling' or 'cascade'",
    "linear classifiers": f"model='network', or {SPARSE_REMEDY}",
    "samples": f"fewer samples, or {SPARSE_REMEDY}",
}


def estimate_memory(
    spec: NetworkSpec | None,
    plan: TrainingPlan,
    has_linear: bool,
    data: TrainingData,
    n_labels: int,
) -> dict[str, int]:
    """Return how many bytes each part of a fit takes in addition to its arguments.

    A rough figure, of float32 on the CPU. Of a user's backbone nothing is known.
    """
    parts = dict.fromkeys(REMEDIES, 0)
    if has_linear:
        parts["samples"], parts["linear classifiers"] = _of_linear(data, n_labels)
    if spec is not None:
        own = _n_weights(spec)
        parts["weights of the network"] = BYTES_PER_WEIGHT * own
        widths = sum(spec.hidden_layer_sizes) + _n_scores(
            spec.head, plan.batch_size, data, n_labels
        )
        parts["scores of a step"] = BYTES_PER_SCORE * plan.batch_size * widths
    return parts


def _of_linear(data: TrainingData, n_labels: int) -> tuple[int, int]:
    """Return the bytes of samples of unit length, and of linear classifiers."""
    X, (n, n_features) = data.linear, data.linear.shape
    work = BYTES_PER_BLOCK_SCORE * BLOCK_SCORES * torch.get_num_threads()
    if isinstance(X, np.ndarray) or is_dense(X):
        # The weights of all nodes, while they are brought into one array.
        of_samples = 2 * X.dtype.itemsize * n * n_features
        return of_samples, work + 2 * 4 * n_labels * n_features
    n_pairs = np.diff(X.indptr).astype(np.float64) @ _labels_per_sample(data)
    n_pairs = min(n_pairs, float(n_labels) * n_features)
    return BYTES_PER_VALUE * X.nnz + 8 * n, work + int(BYTES_PER_PAIR * n_pairs)


def _labels_per_sample(data: TrainingData) -> np.ndarray:
    y = data.y
    if isinstance(y, np.ndarray):
        return np.ones(len(y))
    return np.diff(y.indptr).astype(np.float64)


def _n_weights(spec: NetworkSpec) -> int:
    """Return the number of weights of the tables, of a network that is not built."""
    widths, encoder = [spec.n_features, *spec.hidden_layer_sizes], spec.encoder
    if spec.user_backbone is not None:
        # Its width is not known yet: tables as wide as it are left out.
        widths, encoder = [0], None
    n_weights = sum((n + 1) * m for n, m in pairwise(widths))
    if encoder is not None and encoder.n_features is not None:
        n_weights += encoder.n_features * spec.hidden_layer_sizes[0]
    with torch.device("meta"):
        head = spec.head.make(widths[-1])
    return n_weights + sum(table.numel() for table in head.parameters())


def _n_scores(
    head: HeadSpec, batch_size: int, data: TrainingData, n_labels: int
) -> int:
    """Return how many scores of the head each sample of a step has, about."""
    options = head.options
    if "group_size" in options:  # a pool of labels
        n_true = math.ceil(batch_size * _labels_per_sample(data).mean())
        drawn = options["n_sampled_groups"] * options["group_size"]
        return min(n_labels, n_true + drawn)
    if "head_sizes" in options:
        width = options["beam_width"] + 1 if options.get("hard_negatives") else 1
        return width * sum(options["head_sizes"])
    return n_labels


class _Group(NamedTuple):
    """A control group: the names of the files that tell its limit and its use."""

    folder: Path
    limit: str
    used: str


def available_memory() -> int | None:
    """Return how many bytes this process may still use; None where nothing tells.

    What the machine has left, and what the limits of a container leave.
    """
    if not sys.platform.startswith("linux"):
        return None
    fields = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" not in fields:
        return None
    left = 1024 * (fields["MemAvailable:"] + fields.get("SwapFree:", 0))
    return min([left, *filter(None, map(_left_in, _groups()))])


def _groups(root: Path = Path("/sys/fs/cgroup")) -> list[_Group]:
    """Return the control groups that this process may be in, the inner ones first."""
    inner = ""
    own = Path("/proc/self/cgroup")
    if own.exists():
        lines = own.read_text().splitlines()
        inner = next((line[3:] for line in lines if line.startswith("0::")), "")
    folder = root / inner.strip("/")
    paths = [path for path in (folder, *folder.parents) if path.is_relative_to(root)]
    second = [_Group(path, "memory.max", "memory.current") for path in paths]
    first = _Group(root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes")
    return [*second, first]


def _left_in(group: _Group) -> int | None:
    """Return what is left of a group's limit, None if it has none."""
    try:
        limit = int((group.folder / group.limit).read_text())
        used = int((group.folder / group.used).read_text())
        # The kernel drops copies of files that nothing uses before it stops anyone.
        unused = _numbers(group.folder / "memory.stat").get("inactive_file", 0)
    except (OSError, ValueError):  # no such group, or "max"
        return None
    return max(1, limit - used + unused)


def _numbers(path: Path) -> dict[str, int]:
    """Return the second words of lines by the first ones."""
    if not path.exists():
        return {}
    pairs = (line.split()[:2] for line in path.read_text().splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if pair[1:] and pair[1].isdigit()}


def check_memory(parts: dict[str, int], available: int | None) -> None:
    """Raise MemoryError if a fit takes more than there is."""
    total = sum(parts.values())
    if available is None or total <= available:
        return
    largest = sorted(parts, key=lambda name: -parts[name])
    shown = ", ".join(f"{name} {_shown(parts[name])}" for name in largest[:2])
    raise MemoryError(
        f"This fit needs about {_shown(total)} of memory ({shown}), but only "
        f"{_shown(available)} are available: use {REMEDIES[largest[0]]}."
    )


def _shown(n_bytes: int) -> str:
    size = n_bytes / MIB
    return f"{size:,.0f} MiB" if size < 1024 else f"{size / 1024:,.1f} GiB"


def tell_memory(parts: dict[str, int], progress: Progress) -> None:
    """Tell who waits for a fit how much memory it takes, if that is worth telling."""
    total = sum(parts.values())
    if total >= LEAST_TOLD:
        progress.say(f"memory: about {_shown(total)} in addition to the data")
