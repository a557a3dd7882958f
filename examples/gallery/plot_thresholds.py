"""
Tags, with a threshold for F1
=============================

``predict`` of a multi-label estimator returns the tags that are more probable than not.
Where there are many, few are so probable, and most true ones are missed. A threshold
that is tuned on held-out samples finds more of them.
"""

# %%
# Nouns, and all that they are: a poodle is a dog, a canine, a carnivore. Tags of at
# least 8 nouns in a sixth of the data are kept.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline

from skmhe import MHEMultiLabelClassifier, predict_topk
from skmhe.datasets import load_wordnet
from skmhe.metrics import evaluate, f1_score
from skmhe.model_selection import (
    MultiLabelFixedThresholdClassifier,
    MultiLabelTunedThresholdClassifierCV,
)

train = load_wordnet(multilabel=True)
test = load_wordnet(multilabel=True, subset="test")
texts, test_texts = train.data[::6], test.data[::6]
kept = np.flatnonzero(train.target[::6].sum(axis=0).A1 >= 8)
Y, Y_test = train.target[::6][:, kept], test.target[::6][:, kept]
tags = train.target_names[kept]
print(f"{len(texts):,} texts, {len(tags)} tags, {Y.sum() / len(texts):.1f} per text")
print(f"{texts[0]} -> {', '.join(tags[Y[0].indices])}")

# %%
# ``cv=0.2`` holds out a fifth of the samples once. A number of folds takes longer, and
# uses all samples. One threshold for all tags is best for most data; with
# ``per_label=True``, each tag has its own.
pipe = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32),
    MHEMultiLabelClassifier(model="linear", random_state=0),
)
tuned = {"cv": 0.2, "random_state": 0}
models = {
    "0.5": pipe,
    "3 best": MultiLabelFixedThresholdClassifier(pipe, threshold=-np.inf, max_labels=3),
    "micro": MultiLabelTunedThresholdClassifierCV(pipe, **tuned),
    "macro": MultiLabelTunedThresholdClassifierCV(pipe, scoring="f1_macro", **tuned),
    "each": MultiLabelTunedThresholdClassifierCV(
        pipe, scoring="f1_macro", per_label=True, **tuned
    ),
}
averages = "micro", "macro", "samples"
print("F1      ", *(f"{average:>14}" for average in averages))
for name, model in models.items():
    predicted = model.fit(texts, Y).predict(test_texts)
    f1 = [f1_score(Y_test, predicted, average=average) for average in averages]
    print(f"{name:8}", *(f"{value:14.1%}" for value in f1))
best = models["micro"]
print(f"threshold for micro F1: {best.best_threshold_:.2f}")

# %%
# All thresholds, of the test samples. The line is where the held-out ones are best.
predictions = predict_topk(best, test_texts, k=50)
thresholds = np.linspace(0.02, 0.9, 23)
for average in averages:
    f1 = [
        evaluate(Y_test, predictions, k=1, threshold=t)[f"{average} F1"]["all"]
        for t in thresholds
    ]
    plt.plot(thresholds, f1, label=f"{average} F1")
plt.axvline(best.best_threshold_, color="gray", linestyle="--", label="tuned, micro")
plt.axvline(0.5, color="gray", linestyle=":", label="predict")
plt.xlabel("threshold")
plt.ylabel("F1 of test samples")
plt.legend()
plt.show()
