"""
Labels that come after fitting
==============================

Where labels have descriptions, ``fit`` takes them as ``label_features``, and
``add_labels`` makes a fitted estimator predict labels that it has no sample of.
"""

# %%
# Kinds of things with at least 50 samples each. Every fifth one is held out: it is in
# no training sample.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.metrics import recall_at_k

train, test = load_wordnet(), load_wordnet(subset="test")
frequent = np.flatnonzero(np.bincount(train.target) >= 50)
new, known = frequent[::5], np.setdiff1d(frequent, frequent[::5])
rows = np.flatnonzero(np.isin(train.target, known))
vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
X = vectorizer.fit_transform([train.data[i] for i in rows])
y = train.target[rows]
Z = vectorizer.transform(train.label_texts)  # words and glosses of the kinds themselves
print("a label's text:", train.label_texts[new[0]])

# %%
# The description of each known label goes in beside the samples, and those of the new
# labels afterwards.
clf = MHEClassifier(effort="fast", random_state=0)
clf.fit(X, y, label_features=Z[known])
clf.add_labels(Z[new], labels=new)
print(f"{len(known)} labels fitted, {len(new)} added")

# %%
# How many of the test samples of each kind have their label among the first 10?
recalls = {}
for name, labels in {"fitted": known, "added": new}.items():
    kept = np.flatnonzero(np.isin(test.target, labels))
    X_test = vectorizer.transform([test.data[i] for i in kept])
    found = clf.predict_topk(X_test, k=10)
    recalls[name] = recall_at_k(test.target[kept], found, k=10)
    print(f"{name}: {recalls[name]:.1%} of {len(kept)} samples")
plt.bar(list(recalls), [100 * recall for recall in recalls.values()])
plt.axhline(1000 / len(frequent), color="gray", linestyle="--", label="by chance")
plt.ylabel("recall at 10, %")
plt.legend(loc="center")
plt.show()
