"""Multi-label data, and classifiers with thresholds to fit to them."""

import numpy as np
import scipy.sparse as sp
from split_problems import long_tailed

from skmhe import MHEMultiLabelClassifier
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)

# Below 100 samples, fits are quickest: there is no calibration.
Y = long_tailed(96, 10)
Y = Y[:, np.flatnonzero(Y.sum(axis=0) > 5)]
N_LABELS = Y.shape[1]
X = Y.toarray() + np.random.default_rng(0).normal(size=Y.shape)
NAMES = np.array([f"label {i}" for i in range(N_LABELS)])


def clf():
    return MHEMultiLabelClassifier(model="linear", random_state=0)


def fixed(**parameters):
    return MultiLabelFixedThresholdClassifier(clf(), **parameters)


def tuned(**parameters):
    return MultiLabelTunedThresholdClassifierCV(clf(), **{"cv": 2, **parameters})


def lists_of(indicator):
    return [NAMES[row.indices].tolist() for row in sp.csr_matrix(indicator)]
