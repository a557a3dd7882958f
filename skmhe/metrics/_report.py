"""All measures of predictions at once, also of frequent and of rare labels."""

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from skmhe.labels.forms import LabelIndicator, Labels
from skmhe.metrics._alignment import check_labels, read_true_labels
from skmhe.metrics._evaluation import (
    Evaluation,
    check_same_samples,
    check_sample_weight,
    compare,
)
from skmhe.metrics._frequency_bins import bin_labels, read_tail_torso_head
from skmhe.metrics._measures import coverage, ndcg, precision, recall
from skmhe.metrics._measures import propensity_scored_precision as psp
from skmhe.metrics._numbering import (
    Numbering,
    find_numbering,
    is_ranking,
    read_predicted_sets,
)
from skmhe.metrics._predictions import (
    Predictions,
    Scores,
    check_k,
    check_no_nan,
    read_predictions,
)
from skmhe.metrics._propensities import check_enough_samples, propensity_model
from skmhe.metrics._sets import AVERAGES, measures_of
from skmhe.metrics._true_labels import TrueLabels

BINS = ("tail", "torso", "head")


class EvaluationTable(dict[str, dict[str, float]]):
    """Measures by name, each with its value of all labels and of bins of them.

    It is a dict of dicts, of which ``pandas.DataFrame`` makes a table with a column for
    each measure. As text, it has a line for each measure.
    """

    def __str__(self) -> str:
        columns = list(next(iter(self.values())))
        lines = ["".join([" " * 12, *(f"{name:>9}" for name in columns)])]
        for measure, row in self.items():
            form = ",d" if isinstance(row["all"], int) else ".4f"
            values = (format(value, form).rjust(9) for value in row.values())
            lines.append("".join([f"{measure:<12}", *values]))
        return "\n".join(lines)


class _Compared(NamedTuple):
    """True and predicted labels by the same numbers, as far as they are given."""

    truth: TrueLabels
    true: sp.csr_array
    ranked: Evaluation | None  # of the largest k
    chosen: sp.csr_array | None
    frequencies: NDArray[np.int64] | None  # of training labels, shape: (n_labels,)
    propensities: NDArray[np.float64] | None
    weights: NDArray[np.float64] | None  # shape: (n_samples,)


def evaluate(
    y_true: Any,
    y_pred: Any,
    *,
    y_train: Any = None,
    k: int | Sequence[int] = (1, 3, 5),
    threshold: float = 0.5,
    bins: tuple[int, int] = (10, 100),
    labels: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
) -> EvaluationTable:
    """Compute the usual measures of extreme classification in one call.

    With `y_train`, there are also values of rare labels ("tail"), of frequent ones
    ("head"), and of those between ("torso"). Precision, nDCG and propensity-scored
    precision are sums over correct predictions: in a bin, those of its labels count
    only, so that the bins add up to "all". All other measures are those of the labels
    of the bin, as if there were no others; recall is then the mean over samples that
    have one of them.

    Parameters
    ----------
    y_true : array-like, sparse matrix, DataFrame or list of lists
        True labels, see :func:`precision_at_k`.
    y_pred : array-like, sparse matrix, DataFrame, list of lists or pair of arrays
        Predictions: the pair that `predict_topk` returns, floating-point scores or an
        array of ranked labels, see :func:`precision_at_k`; or the labels that `predict`
        returns, of which there is F1 only: an indicator of nothing but 0 and 1, or
        lists of labels.
    y_train : array-like, sparse matrix, DataFrame or list of lists, default=None
        Labels of the training samples. If None, there are neither bins nor PSP. The
        latter has propensities with a=0.55 and b=1.5, see :func:`propensities`.
    k : int or sequence of int, default=(1, 3, 5)
        Numbers of top-ranked predictions to consider; those that are larger than the
        number of predictions of a sample are left out.
    threshold : float, default=0.5
        Labels of a larger score are predicted, for F1 of scores or of a pair.
    bins : tuple of two int, default=(10, 100)
        The lowest number of training samples of a label in the torso, and in the head;
        labels with fewer are in the tail. Bins are those of
        :class:`skmhe.displays.FrequencyDisplay` with the same numbers.
    labels : array-like of shape (n_labels,), default=None
        The labels that may be predicted, see :func:`precision_at_k`.
    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples of `y_true`. If None, all have the same weight.

    Returns
    -------
    dict of dict of float
        ``table[measure][name]`` for the measures "P@k", "nDCG@k", "PSP@k", "R@k",
        "coverage@k", "micro F1", "macro F1" (of labels that are true or predicted
        somewhere) and "samples F1", each between 0 and 1, and "labels", the number of
        labels that are true somewhere; and for the names "all" and, with `y_train`,
        "head", "torso" and "tail". Print it as a table, or pass it to
        ``pandas.DataFrame``.

    Raises
    ------
    ValueError
        If `k` or `bins` are invalid, no k fits, or another argument is invalid, see
        :func:`precision_at_k`.

    Examples
    --------
    >>> from skmhe.metrics import evaluate
    >>> y_train = [["cat"]] * 20 + [["dog"]] * 5
    >>> table = evaluate(
    ...     [["cat"], ["dog"]], [[0.8, 0.2], [0.6, 0.4]], y_train=y_train, k=1,
    ...     labels=["cat", "dog"],
    ... )
    >>> print(table)
                      all     head    torso     tail
    P@1            0.5000   0.0000   0.5000   0.0000
    nDCG@1         0.5000   0.0000   0.5000   0.0000
    PSP@1          0.4208   0.0000   0.4208   0.0000
    R@1            0.5000   0.0000   1.0000   0.0000
    coverage@1     0.5000   0.0000   1.0000   0.0000
    micro F1       0.5000   0.0000   0.6667   0.0000
    macro F1       0.3333   0.0000   0.6667   0.0000
    samples F1     0.5000   0.0000   0.5000   0.0000
    labels              2        0        1        1
    """
    ks = _check_ks(k)
    if not isinstance(threshold, Real) or np.isnan(threshold):
        raise ValueError(f"threshold={threshold!r} must be a number.")
    edges = read_tail_torso_head(bins)
    compared, ks = _compare(
        y_true, y_pred, y_train, ks, threshold, labels, sample_weight
    )
    table = EvaluationTable()
    for name, mask in _masks(compared, edges).items():
        for measure, value in _measures(compared, ks, mask).items():
            table.setdefault(measure, {})[name] = value
    return table


def _check_ks(k: Any) -> list[int]:
    ks: list[Any] = (
        [k] if isinstance(k, Real) or not isinstance(k, Iterable) else list(k)
    )
    for number in ks:
        check_k(number)
    if not ks:
        raise ValueError(f"k={k!r} must be a number of predictions, or several.")
    return sorted(set(ks))


def _compare(
    y_true: Any,
    y_pred: Any,
    y_train: Any,
    ks: list[int],
    threshold: float,
    labels: ArrayLike | None,
    sample_weight: ArrayLike | None,
) -> tuple[_Compared, list[int]]:
    """Give all labels the same numbers; return them, and the k that fit."""
    known = check_labels(labels)
    predictions = sets = None
    if is_ranking(y_pred):
        predictions = read_predictions(y_pred, known)
        hints = predictions.known if known is None else known
    else:
        sets, hints = read_predicted_sets(y_pred, known), known
    truth = read_true_labels(y_true, "y_true", hints)
    given: dict[str, Any] = {"y_true": truth, "y_pred": predictions or sets}
    if y_train is not None:
        given["y_train"] = read_true_labels(y_train, "y_train", hints)
    numbering = find_numbering(known, given)
    true = numbering.number(truth, "y_true")
    weights = check_sample_weight(sample_weight, true.n_samples)
    ranked = None
    if predictions is not None:
        ks = _fitting(ks, min(predictions.n_columns, len(numbering.labels)))
        ranked = compare(true, numbering.rank(predictions, ks[-1]), weights)
        chosen = _above(predictions, numbering, threshold)
    else:
        assert sets is not None
        chosen = numbering.indicator(numbering.number_predicted(sets))
        check_same_samples(true.n_samples, chosen.shape[0])
    frequencies = p = None
    if y_train is not None:
        frequencies, p = _training_labels(given["y_train"], numbering)
    indicator = numbering.indicator(true)
    return _Compared(true, indicator, ranked, chosen, frequencies, p, weights), ks


def _fitting(ks: list[int], n_ranks: int) -> list[int]:
    """Return the k of which a sample has so many predictions, at least one."""
    if ks[0] > n_ranks:
        raise ValueError(
            f"k={ks} are all larger than the number of predictions of a sample, "
            f"{n_ranks}; pass a smaller k."
        )
    return [k for k in ks if k <= n_ranks]


def _above(
    predictions: Predictions, numbering: Numbering, threshold: float
) -> sp.csr_array | None:
    """Return an indicator of the labels of larger scores, None without scores."""
    if isinstance(predictions, Scores):
        above = _stored_above(predictions.values, threshold).astype(np.float32)
        read = LabelIndicator(above, predictions.names, above.dtype)
        return numbering.indicator(numbering.number_predicted(read))
    if predictions.scores is None:
        return None
    ranked = numbering.rank(predictions, predictions.n_columns)
    check_no_nan(predictions.scores[ranked >= 0], "y_pred")
    chosen = (predictions.scores > threshold) & (ranked >= 0)
    ends = np.concatenate([[0], np.cumsum(np.count_nonzero(chosen, axis=1))])
    return numbering.indicator(TrueLabels(ends, ranked[chosen]))


def _stored_above(scores: Any, threshold: float) -> sp.csr_array:
    """Return an indicator of larger scores, of a sparse matrix of those it stores."""
    if not sp.issparse(scores):
        return sp.csr_array(scores > threshold)
    entries = scores.data > threshold, scores.indices, scores.indptr
    above = sp.csr_array(entries, shape=scores.shape, copy=True)
    above.eliminate_zeros()
    return above


def _training_labels(
    train: Labels, numbering: Numbering
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of training samples of all labels, and their propensities."""
    check_enough_samples(train)
    numbers = numbering.number(train, "y_train").indices
    frequencies = np.bincount(numbers, minlength=len(numbering.every))
    return frequencies, propensity_model(frequencies, train.n_samples)


def _masks(
    compared: _Compared, edges: list[int]
) -> dict[str, NDArray[np.bool_] | None]:
    """Return which labels are in each bin; None are all of them."""
    masks: dict[str, NDArray[np.bool_] | None] = {"all": None}
    if compared.frequencies is None:
        return masks
    bin_of = bin_labels(compared.frequencies, edges)
    for number in reversed(range(len(BINS))):  # the most frequent labels first
        masks[BINS[number]] = bin_of == number
    return masks


def _measures(
    compared: _Compared, ks: list[int], mask: NDArray[np.bool_] | None
) -> dict[str, float]:
    """Return the measures of the labels of a bin."""
    found: dict[str, float] = {}
    if compared.ranked is not None:
        counted = [_only_hits(compared.ranked.first(k), mask) for k in ks]
        found |= {f"P@{part.k}": precision(part) for part in counted}
        found |= {f"nDCG@{part.k}": ndcg(part) for part in counted}
        p = compared.propensities
        if p is not None:
            found |= {f"PSP@{part.k}": psp(part, p) for part in counted}
        alone = [_only_labels(part, mask) for part in counted]
        found |= {f"R@{part.k}": recall(part) for part in alone}
        found |= {f"coverage@{part.k}": coverage(part) for part in alone}
    true, chosen = compared.true, compared.chosen
    in_bin = np.ones(true.shape[1], dtype=bool) if mask is None else mask
    occurs = in_bin & (true.sum(axis=0) > 0)
    if chosen is not None:
        numbers = np.flatnonzero(occurs | (in_bin & (chosen.sum(axis=0) > 0)))
        for average in AVERAGES:
            of_sets = measures_of(true, chosen, average, numbers, compared.weights)
            found[f"{average} F1"] = of_sets.f1
    found["labels"] = int(np.count_nonzero(occurs))
    return found


def _only_hits(found: Evaluation, mask: NDArray[np.bool_] | None) -> Evaluation:
    """Return an evaluation where only predictions of some labels may be correct."""
    if mask is None:
        return found
    return found._replace(hits=found.hits & mask[found.ranked])


def _only_labels(found: Evaluation, mask: NDArray[np.bool_] | None) -> Evaluation:
    """Return an evaluation where only some labels are true, of samples with some."""
    if mask is None:
        return found
    kept = mask[found.truth.indices]
    counts = np.bincount(found.truth.samples[kept], minlength=found.truth.n_samples)
    indptr = np.concatenate([[0], np.cumsum(counts)])
    truth = TrueLabels(indptr, found.truth.indices[kept])
    weights = np.where(counts > 0, 1.0 if found.weights is None else found.weights, 0)
    if not weights.any():  # there is nothing to find, and 0 is found
        return found._replace(hits=np.zeros_like(found.hits))
    return found._replace(truth=truth, weights=weights)
