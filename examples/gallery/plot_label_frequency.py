"""
Frequent and rare labels apart
==============================

With many labels, most are rare, and a mean over samples says little about them. This
example looks at labels by their number of training samples, and compares the network,
the linear classifiers, and their sum.
"""

# %%
# Kinds of nouns with at least 12 training samples:
from itertools import pairwise

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.metrics import propensities, propensity_scored_precision_at_k

train, test = load_wordnet(), load_wordnet(subset="test")
kept = np.flatnonzero(np.bincount(train.target) >= 12)
vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)


def features(part, transform):
    """Return the features, and the labels by their place among those that are kept."""
    rows = np.flatnonzero(np.isin(part.target, kept))
    y = np.searchsorted(kept, part.target[rows])
    return transform([part.data[i] for i in rows]), y


X, y = features(train, vectorizer.fit_transform)
X_test, y_test = features(test, vectorizer.transform)
counts = np.bincount(y)

# %%
# Accuracy of the test samples whose label has so many training samples.
# Propensity-scored precision (PSP) sums that up in one number, in which rare labels
# count more.
edges = [12, 16, 24, 48, 10_000]
bins = np.digitize(counts[y_test], edges)
ticks = [f"{low} to {high - 1}" for low, high in pairwise(edges)]
ticks[-1] = f"{edges[-2]} and more"
weights = propensities(y, n_labels=len(kept))
for model in "network", "linear", "both":
    clf = MHEClassifier(model=model, effort="fast", random_state=0).fit(X, y)
    labels, _ = clf.predict_topk(X_test, k=1)
    right = labels[:, 0] == y_test
    psp = propensity_scored_precision_at_k(y_test, labels, weights, k=1)
    print(f"{model:8} P@1 {right.mean():.1%}, PSP@1 {psp:.1%}")
    shares = [100 * right[bins == b].mean() for b in range(1, len(edges))]
    plt.plot(ticks, shares, "o-", label=model)
plt.xlabel("training samples of the label")
plt.ylabel("accuracy, %")
plt.legend(title="model")
plt.show()
