"""How figures of several seeds are told."""

import numpy as np


def mean_sd(values, digits=2):
    """Return "mean ± standard deviation"; no spread of a single value."""
    values = np.asarray(values, dtype=float)
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.{digits}f}"
