"""From log-probabilities to what users ask for, in place."""

import numpy as np

# Probabilities stay inside (0, 1), as log loss and the logit need.
SMALLEST_LOG = np.log(np.finfo(np.float64).tiny)
# Not epsneg, the smallest step below 1: the last bit of NumPy's exp may be wrong.
LARGEST_LOG = -np.finfo(np.float64).eps


def to_probabilities(log_p: np.ndarray) -> None:
    """Make probabilities, inside (0, 1), of their logarithms, in place."""
    np.clip(log_p, SMALLEST_LOG, LARGEST_LOG, out=log_p)
    np.exp(log_p, out=log_p)


def to_log_odds(log_p: np.ndarray) -> None:
    """Make log-odds of log-probabilities, in place."""
    np.minimum(log_p, LARGEST_LOG, out=log_p)
    log_p -= np.log(-np.expm1(log_p))
