"""
How many heads: a grid search
=============================

With one head, the network scores every label. With more, each head scores a part of the
label's code, and a search follows the most probable ones. The number of heads is a
parameter as any other.
"""

# %%
# 100 classes of 12 samples each: points around random centers.
import matplotlib.pyplot as plt
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV

from skmhe import MHEClassifier

X, y = make_blobs(1200, 24, centers=100, cluster_std=4.0, random_state=0)
X = X / X.std()
search = GridSearchCV(
    MHEClassifier(model="network", random_state=0, max_iter=8),
    {"n_heads": [1, 2, 3]},
    cv=2,
).fit(X, y)
print("best:", search.best_params_)

# %%
# What was fitted: one head is "full", more are a "cascade". Their lengths multiply to
# at least 100, the number of classes.
for n_heads in 1, 2, 3:
    clf = MHEClassifier(model="network", n_heads=n_heads, max_iter=1, random_state=0)
    clf.fit(X, y)
    print(n_heads, clf.strategy_, clf.head_sizes_)

# %%
# Accuracy is about the same: heads pay by their time, and only where there are many
# more labels than here (see the table of costs in the user guide).
results = search.cv_results_
plt.errorbar(
    [str(n) for n in results["param_n_heads"]],
    100 * results["mean_test_score"],
    100 * results["std_test_score"],
    fmt="o",
)
plt.xlabel("n_heads")
plt.ylabel("accuracy, %")
plt.show()
