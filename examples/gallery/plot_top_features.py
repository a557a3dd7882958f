"""
Why this label: top features
============================

``top_features`` tells which columns of X speak most for a label in its linear
classifier. A vectorizer turns columns into words.
"""

# %%
# Five kinds of nouns, by their glosses:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet

train = load_wordnet()
kinds = ["fabric", "mineral", "poet", "river", "shrub"]
rows = np.flatnonzero(np.isin(train.target_names[train.target], kinds))
texts = [train.data[i] for i in rows]
y = train.target_names[train.target[rows]]
vectorizer = TfidfVectorizer(stop_words="english")
clf = make_pipeline(vectorizer, MHEClassifier(model="linear", random_state=0))
clf.fit(texts, y)

# %%
# The words with the largest weights of each kind:
words = vectorizer.get_feature_names_out()
figure, axes = plt.subplots(1, 5, figsize=(10, 2.8), layout="constrained", sharex=True)
for axis, kind in zip(axes, kinds, strict=True):
    columns, weights = clf[-1].top_features(kind, k=6)
    print(f"{kind}: {', '.join(words[columns])}")
    axis.barh(words[columns][::-1], weights[::-1])
    axis.set_title(kind)
plt.show()

# %%
# Which words of one text count, and how much: its values times the weights.
text = "a shrub whose hard wood is used to weave cloth"
x = vectorizer.transform([text])
print("predicted:", clf.predict([text])[0])
for kind in "shrub", "fabric":
    columns, weights = clf[-1].top_features(kind, k=len(words))
    parts = x[:, columns].toarray()[0] * weights
    best = np.argsort(-parts)[:3]
    shown = [f"{words[columns[i]]} {parts[i]:.1f}" for i in best if parts[i] > 0]
    print(f"{kind}: {', '.join(shown)}")
