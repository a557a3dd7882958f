"""Read the data sets that the benchmarks take; needs NumPy and SciPy only."""

import numpy as np
import scipy.sparse as sp


def load(folder):
    """Return X_train, X_test, y_train, y_test of a data set's folder.

    It holds X_train.npz, X_test.npz (scipy CSR) or X_train.npy, X_test.npy (dense),
    and y_train.npy, y_test.npy (classes) or Y_train.npz, Y_test.npz (CSR indicators).
    """
    if (folder / "X_train.npy").exists():
        X_train, X_test = (np.load(folder / f"X_{p}.npy") for p in ("train", "test"))
    else:
        X_train, X_test = (
            sp.load_npz(folder / f"X_{p}.npz").tocsr() for p in ("train", "test")
        )
    if (folder / "y_train.npy").exists():
        y_train, y_test = (np.load(folder / f"y_{p}.npy") for p in ("train", "test"))
    else:
        y_train, y_test = (
            sp.load_npz(folder / f"Y_{p}.npz").tocsr() for p in ("train", "test")
        )
    return X_train, X_test, y_train, y_test
