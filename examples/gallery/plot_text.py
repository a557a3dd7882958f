"""
Texts to labels
===============

A pipeline from texts to the labels of a tree of thousands of nouns: each noun of
WordNet is described by its words and a gloss, and its label is what it is a kind of.
Labels are strings, and come back as strings.
"""

# %%
# The data come with skmhe. To be quick, only labels with at least 20 samples are kept.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmhe import MHEClassifier, predict_topk
from skmhe.datasets import load_wordnet
from skmhe.displays import RankingDisplay

train, test = load_wordnet(), load_wordnet(subset="test")
frequent = np.flatnonzero(np.bincount(train.target) >= 20)


def chosen(part):
    """Return the texts and the names of the labels of the frequent ones."""
    rows = np.flatnonzero(np.isin(part.target, frequent))
    return [part.data[i] for i in rows], train.target_names[part.target[rows]]


texts, y = chosen(train)
test_texts, y_test = chosen(test)
print(f"{len(texts):,} texts of {len(frequent)} labels, for example:")
for text, label in zip(texts[:3], y[:3], strict=True):
    print(f"  {label}: {text}")

# %%
# ``model="linear"`` is the fast setting. With ``sublinear_tf``, a word that a text
# repeats counts little more than one that occurs once, which helps with nearly all
# texts.
clf = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32),
    MHEClassifier(model="linear", random_state=0),
)
clf.fit(texts, y)
print(f"accuracy {clf.score(test_texts, y_test):.1%}")

# %%
# The best labels of texts that are in none of the data, and how probable they are:
new_texts = [
    "a ship that carries oil across the sea",
    "someone who writes verses",
    "a shrub with blue berries",
]
labels, probabilities = predict_topk(clf, new_texts, k=3)
for text, names, shares in zip(new_texts, labels, probabilities, strict=True):
    print(text)
    for name, share in zip(names, shares, strict=True):
        print(f"  {share:5.1%} {name}")

# %%
# How often the true label is among the first k:
RankingDisplay.from_estimator(
    clf, test_texts, y_test, measure="recall", k=10, name='model="linear"'
)
plt.show()
