"""
Your own network, on images
===========================

``backbone=`` takes any torch module that maps samples to features. Everything else of
the estimator stays: heads, training, predictions, pickles and searches.
"""

# %%
# A small convolutional network, and images of handwritten digits:
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skmhe import Backbone, MHEClassifier
from skmhe.displays import HistoryDisplay


class CNN(torch.nn.Module):
    """Two convolutions; ``width`` becomes a parameter of the estimator."""

    def __init__(self, width=16):
        super().__init__()
        self.layers = torch.nn.Sequential(
            torch.nn.Conv2d(1, width, 3),
            torch.nn.BatchNorm2d(width),
            torch.nn.ReLU(),
            torch.nn.Conv2d(width, width, 3),
            torch.nn.ReLU(),
            torch.nn.Flatten(),
        )

    def forward(self, images):
        """Return features of shape (n, 16 * width)."""
        return self.layers(images)


X, y = load_digits(return_X_y=True)
images = X.reshape(-1, 1, 8, 8) / 16
X_train, X_test, y_train, y_test = train_test_split(images, y, random_state=0)
clf = MHEClassifier(backbone=Backbone(CNN, width=24), max_iter=12, random_state=0)
clf.fit(X_train, y_train)
print(f"accuracy {clf.score(X_test, y_test):.1%}")
print("features:", clf.transform(X_test).shape)

# %%
# How the loss fell, from ``history_``:
HistoryDisplay.from_estimator(clf, name="CNN")
plt.show()

# %%
# The digits of which it is least sure:
labels, probabilities = clf.predict_topk(X_test, k=2)
doubtful = probabilities[:, 0].argsort()[:8]
figure, axes = plt.subplots(2, 4, figsize=(7, 4), layout="constrained")
for axis, i in zip(axes.flat, doubtful, strict=True):
    axis.imshow(X_test[i, 0], cmap="gray_r")
    first, second = labels[i]
    axis.set_title(f"{first} ({probabilities[i, 0]:.0%}) or {second}, is {y_test[i]}")
    axis.title.set_size(8)
    axis.axis("off")
plt.show()
