"""Means and standard deviations over seeds."""

import numpy as np


def mean_sd(values, digits=2):
    """Return "mean ± standard deviation"; only the value if there is one."""
    values = np.asarray(values, dtype=float)
    mean = f"{values.mean():.{digits}f}"
    return mean if len(values) == 1 else f"{mean} ± {values.std(ddof=1):.{digits}f}"
