"""
Out of the box, beside three classifiers
========================================

The same features and samples for three classifiers of scikit-learn and two settings of
skmhe, otherwise with their defaults: accuracy, and the time to fit and to predict.
There are 98 labels here, with which scikit-learn's classifiers are at ease; their time
grows with the number of labels.
"""

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.svm import LinearSVC

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
# ``model="linear"`` is the fast setting of skmhe; the default adds a network.
classifiers = {
    "MultinomialNB": MultinomialNB(),
    "SGDClassifier": SGDClassifier(random_state=0),
    "LinearSVC": LinearSVC(random_state=0),
    'skmhe, model="linear"': MHEClassifier(model="linear", random_state=0),
    "skmhe": MHEClassifier(random_state=0),
}
points = {}
for name, clf in classifiers.items():
    start = time.perf_counter()
    clf.fit(X, y)
    fitted = time.perf_counter()
    accuracy = clf.score(X_test, y_test)
    points[name] = fitted - start, 100 * accuracy
    done = time.perf_counter() - fitted
    print(f"{name:22} {accuracy:6.1%}, fit {points[name][0]:5.2f} s, {done:.2f} s")

# %%
# Times are those of the machine that built this page, one run each.
for name, (seconds, accuracy) in points.items():
    plt.plot(seconds, accuracy, "o", label=name)
plt.xscale("log")
plt.xlabel("seconds to fit")
plt.ylabel("accuracy, %")
plt.legend()
plt.show()
