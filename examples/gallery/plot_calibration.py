"""
Can the probabilities be trusted?
=================================

Of all predictions with a probability of 0.7, about 70% should be right. skmhe learns
what makes probabilities of scores on samples that it holds out
(``combination="learned"``).
"""

# %%
# Nouns and what they are kinds of:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB

from skmhe import MHEClassifier, predict_topk
from skmhe.datasets import load_wordnet
from skmhe.displays import ReliabilityDisplay
from skmhe.metrics import expected_calibration_error

train, test = load_wordnet(), load_wordnet(subset="test")
frequent = np.flatnonzero(np.bincount(train.target) >= 50)
vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)


def features(part, transform):
    """Return the features and the labels of the frequent ones."""
    rows = np.flatnonzero(np.isin(part.target, frequent))
    return transform([part.data[i] for i in rows]), part.target[rows]


X, y = features(train, vectorizer.fit_transform)
X_test, y_test = features(test, vectorizer.transform)

# %%
# The best label's probability, and whether it is right. "equal" is what there is before
# anything is learned. Here, that is calibrated already; with thousands of labels, it is
# not (see "Learned combination" among the figures).
models = {
    "skmhe": MHEClassifier(effort="fast", random_state=0),
    'skmhe, combination="equal"': MHEClassifier(
        effort="fast", combination="equal", random_state=0
    ),
    "MultinomialNB": MultinomialNB(),
}
figure, axis = plt.subplots(layout="constrained")
for name, clf in models.items():
    clf.fit(X, y)
    error = expected_calibration_error(y_test, predict_topk(clf, X_test, k=1))
    print(f"{name}: accuracy {clf.score(X_test, y_test):.1%}, error {error:.1%}")
    ReliabilityDisplay.from_estimator(
        clf, X_test, y_test, n_bins=8, strategy="quantile", name=name, ax=axis
    )
plt.show()
