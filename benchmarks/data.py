"""Read the data sets that the benchmarks use; needs NumPy and SciPy only.

A data set is a folder, as benchmarks/make_data.py writes it:

- X_train.npz and X_test.npz (SciPy CSR matrices), or X_train.npy and X_test.npy
  (dense arrays);
- y_train.npy and y_test.npy (the class of each sample, an integer), or Y_train.npz and
  Y_test.npz (CSR indicator matrices of a multi-label target);
- labels.txt: the name of each class or label, one per line;
- texts_train.txt.gz, texts_test.txt.gz and label_texts.txt.gz: the texts of the samples
  and of the labels, one per line, where the data set has them;
- README.txt: where the data come from, and how they were split.
"""

import gzip

import numpy as np
import scipy.sparse as sp

# Parameters of the TfidfVectorizer that turns texts into features: of the samples in
# make_data.py, of the labels in bench_labels.py.
VECTORIZER = {"sublinear_tf": True, "min_df": 2, "dtype": np.float32}


def load(folder):
    """Return X_train, X_test, y_train and y_test of the data set in a folder."""
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


def read_texts(path):
    """Return the lines of a text file compressed by gzip."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return file.read().splitlines()
