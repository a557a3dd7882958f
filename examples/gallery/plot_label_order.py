"""
Does the order of the labels matter?
====================================

The order decides which labels share the beginning of their codes. The paper on
multi-head encoding says that it does not matter once the network can fit the training
samples. Where it cannot, it does: the independent heads of "product" have to tell the
first digit of a code from the sample alone.
"""

# %%
# 100 classes, whose centers form 10 groups, in random order.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import train_test_split

from skmhe import MHEClassifier
from skmhe.displays import PrefixDisplay

rng = np.random.RandomState(0)
groups = rng.normal(size=(10, 1, 10)) * 3
centers = (groups + rng.normal(size=(10, 10, 10))).reshape(100, 10)
y = rng.permutation(100)[np.arange(2000) % 100]
X = centers[np.arange(2000) % 100] + 0.7 * rng.normal(size=(2000, 10))
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# With narrow and wide hidden layers. () is none: the scores are linear in X.
orders = "random", "natural", "cluster"
widths = {"none": (), "16": (16,), "256": (256,)}
models = {
    (order, name): MHEClassifier(
        "product",
        label_order=order,
        hidden_layer_sizes=width,
        max_iter=10,
        random_state=0,
    ).fit(X_train, y_train)
    for order in orders
    for name, width in widths.items()
}
scores = {
    order: [models[order, name].score(X_test, y_test) for name in widths]
    for order in orders
}
for order in orders:
    print(f"{order:8}", *(f"{score:6.1%}" for score in scores[order]))

# %%
# Clusters help most where the network can do least.
for order in orders:
    plt.plot(list(widths), 100 * np.array(scores[order]), "o-", label=order)
plt.xlabel("hidden units")
plt.ylabel("accuracy, %")
plt.legend(title="label_order")
plt.show()

# %%
# Which groups of labels (those with the same first digit) are mistaken for which,
# without hidden layers: the share of each group's samples, but for those that are
# right.
figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for axis, order in zip(axes, ("random", "cluster"), strict=True):
    PrefixDisplay.from_estimator(models[order, "none"], X_test, y_test, ax=axis)
    axis.images[0].set_clim(0, 0.3)
    axis.set_title(order)
plt.show()
