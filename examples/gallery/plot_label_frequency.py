"""
Frequent and rare labels apart
==============================

With many labels, most are rare, and a mean over samples says little about them. This
example looks at labels by their number of training samples, and compares the network,
the linear classifiers, and their sum.
"""

# %%
# Kinds of nouns with at least 12 training samples:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.displays import FrequencyDisplay
from skmhe.metrics import evaluate

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

# %%
# ``evaluate`` has all measures at once, of all labels and of three bins of them: those
# with fewer than 16 training samples are the tail here, those with 48 or more the head.
# Propensity-scored precision (PSP) is one number in which rare labels count more.
models = {
    model: MHEClassifier(model=model, effort="fast", random_state=0).fit(X, y)
    for model in ("network", "linear", "both")
}
for name, clf in models.items():
    table = evaluate(y_test, clf.predict_topk(X_test), y_train=y, k=1, bins=(16, 48))
    parts = ", ".join(f"{part} {share:.1%}" for part, share in table["R@1"].items())
    print(f"{name:8} PSP@1 {table['PSP@1']['all']:.1%}; accuracy: {parts}")

# %%
# The whole table of one of them:
print(table)

# %%
# The same as a picture, in four bins:
figure, axis = plt.subplots(layout="constrained")
for name, clf in models.items():
    FrequencyDisplay.from_estimator(
        clf, X_test, y_test, y_train=y, k=1, bins=(12, 16, 24, 48), name=name, ax=axis
    )
plt.show()
