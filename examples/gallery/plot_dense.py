"""
Dense features, such as embeddings
==================================

Embeddings of texts or images are rows of some hundred numbers. They go in like any
dense features: scaled, and with no more to choose. Here, they are made by scikit-learn
from TF-IDF; those of a pretrained model take their place in the same way.
"""

# %%
# 64 numbers for each text:
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet

train, test = load_wordnet(), load_wordnet(subset="test")
frequent = np.flatnonzero(np.bincount(train.target) >= 80)
embed = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, min_df=2),
    TruncatedSVD(64, random_state=0),
    StandardScaler(),
)


def embedded(part, transform):
    """Return the embeddings and the labels of the frequent ones."""
    rows = np.flatnonzero(np.isin(part.target, frequent))
    return transform([part.data[i] for i in rows]), part.target[rows]


X, y = embedded(train, embed.fit_transform)
X_test, y_test = embedded(test, embed.transform)
print("embeddings:", X.shape, X.dtype)

# %%
# Of dense features, a network may learn what linear classifiers cannot.
scores = {}
for model in "linear", "network", "both":
    clf = MHEClassifier(model=model, random_state=0).fit(X, y)
    scores[model] = 100 * clf.score(X_test, y_test)
    print(f"{model:8} {scores[model]:.1f}%")
plt.bar(list(scores), list(scores.values()))
plt.ylabel("accuracy, %")
plt.show()

# %%
# ``transform`` returns what the network makes of them, for neighbors or pictures.
print("features of the network:", clf.transform(X_test).shape)
