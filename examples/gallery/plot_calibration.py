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
from sklearn.calibration import calibration_curve
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet

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
plt.plot([0, 1], [0, 1], color="gray", linestyle="--")
for name, clf in models.items():
    probabilities = clf.fit(X, y).predict_proba(X_test)
    right = clf.classes_[probabilities.argmax(axis=1)] == y_test
    share, predicted = calibration_curve(
        right, probabilities.max(axis=1), n_bins=8, strategy="quantile"
    )
    error = np.abs(share - predicted).mean()
    print(f"{name}: accuracy {right.mean():.1%}, mean distance {error:.1%}")
    plt.plot(predicted, share, "o-", label=name)
plt.xlabel("probability of the best label")
plt.ylabel("share of right ones")
plt.legend()
plt.show()
