"""How linear classifiers see dense samples: as rows of scaled columns."""

from typing import NamedTuple

import numpy as np

from skmhe.scorers.batch import Rows, in_form, row_chunks, unit_rows

# X is dense where a larger share of its values are not 0.
DENSE_DATA_SHARE = 0.25
# A column whose values differ by less than this share of them is constant: the rest is
# rounding.
ROUNDING = 1e-6
# The value of the constant column; the others have a mean square length of 1. A smaller
# one hides what lengths tell, a larger one counts short samples less.
CONSTANT = 0.5


class Scaling(NamedTuple):
    """Columns of mean 0 and equal variance, and one more that is constant.

    Rows are scaled to unit length, as those of sparse samples are, so that far samples
    count no more than others. The constant column keeps what their length tells, of
    which there is much where there are few features: a linear function of its row has
    the sign of any linear function of the sample.
    """

    mean: np.ndarray  # float64, shape: (n_features,)
    factor: np.ndarray  # 0 for columns that are constant; shape: (n_features,)

    def rows(self, X: Rows) -> np.ndarray:
        """Return samples as the classifiers see them, float32 (n, n_features + 1)."""
        result = np.empty((X.shape[0], len(self.mean) + 1), np.float32)
        for rows in row_chunks(*result.shape):
            part = (in_form(X[rows], sparse=False) - self.mean) * self.factor
            result[rows] = unit_rows(
                np.pad(part, ((0, 0), (0, 1)), constant_values=CONSTANT)
            )
        return result


def is_dense(X: Rows) -> bool:
    """Tell whether many of the values are not 0, in whatever form X is."""
    n_stored = np.count_nonzero(X) if isinstance(X, np.ndarray) else X.nnz
    return bool(n_stored > DENSE_DATA_SHARE * X.shape[0] * X.shape[1])


def fit_scaling(X: Rows, weight: np.ndarray | None = None) -> Scaling | None:
    """Return the scaling of the columns of dense samples, with weights; else None.

    Zeros of sparse samples are the lack of a feature, and lengths those of texts.
    """
    if not is_dense(X):
        return None
    share = np.ones(X.shape[0]) if weight is None else weight.astype(np.float64)
    share /= share.sum()

    def averages(power: int, center: np.ndarray | float = 0.0) -> np.ndarray:
        total = np.zeros(X.shape[1])
        for rows in row_chunks(*X.shape):
            part = in_form(X[rows], sparse=False).astype(np.float64) - center
            total += share[rows] @ part**power
        return total

    mean = averages(1)
    deviation = np.sqrt(averages(2, mean))
    varies = deviation > ROUNDING * np.abs(mean)
    length = np.sqrt(np.count_nonzero(varies))
    factor = np.zeros(len(mean))
    factor[varies] = 1 / (length * deviation[varies])
    return Scaling(mean, factor)
