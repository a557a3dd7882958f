"""Classify nouns into more than ten thousand classes, and print the predictions.

The nouns are those of WordNet. The features are TF-IDF of a noun's words and gloss (its
definition); the class is the noun's direct hypernym. A nearest centroid classifier,
made of parts of scikit-learn, is compared. It runs in another process, so that the
peak memory of each model can be measured.

Run it with ``make demo``, or ``python examples/quickstart.py``.
"""

import argparse
import resource
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import LabelBinarizer

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet

N_SHOWN = 5
SKMHE = 'MHEClassifier(model="linear")'


class SparseNearestCentroid(ClassifierMixin, BaseEstimator):
    """The class whose centroid has the largest cosine with the sample.

    `sklearn.neighbors.NearestCentroid` makes a dense array of all samples and
    features, which takes more than 20 GB here. The nearest neighbor among sparse
    centroids is the same, and takes little memory.
    """

    def fit(self, X, y):
        """Sum the samples of each class: sums and means have the same cosines."""
        binarizer = LabelBinarizer(sparse_output=True)
        sums = binarizer.fit_transform(y).T @ X
        self.classes_ = binarizer.classes_
        self.neighbors_ = NearestNeighbors(n_neighbors=1, metric="cosine").fit(sums)
        return self

    def predict(self, X):
        """Predict the class of the nearest centroid."""
        with config_context(working_memory=128):
            nearest = self.neighbors_.kneighbors(X, return_distance=False)
        return self.classes_[nearest[:, 0]]


def make_model(name):
    """Return a pipeline from texts to classes."""
    # min_df=2 leaves out words of a single text, which saves memory.
    tfidf = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    if name == SKMHE:
        # The fast setting. The default, "both", takes longer and is more accurate.
        return make_pipeline(tfidf, MHEClassifier(model="linear", random_state=0))
    return make_pipeline(tfidf, SparseNearestCentroid())


def peak_memory():
    """Return the peak memory of this process in MiB.

    On Linux, `resource` would include the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def run(name):
    """Fit and score a model. Return accuracy, costs and some predictions."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    model = make_model(name)
    start = time.perf_counter()
    model.fit(train.data, train.target)
    fitted = time.perf_counter()
    predicted = model.predict(test.data)
    done = time.perf_counter()
    result = {
        "model": name,
        "accuracy": np.mean(predicted == test.target),
        "fit": fitted - start,
        "predict": done - fitted,
        "memory": peak_memory(),
        "examples": [],
    }
    if name == SKMHE:
        shown = np.random.RandomState(0).choice(len(test.data), N_SHOWN, replace=False)
        X = model[:-1].transform([test.data[i] for i in shown])
        labels, probabilities = model[-1].predict_topk(X, k=5)
        for i, classes, scores in zip(shown, labels, probabilities, strict=True):
            truth = train.target_names[test.target[i]]
            guesses = [
                (train.target_names[c], s) for c, s in zip(classes, scores, strict=True)
            ]
            result["examples"].append((test.data[i], truth, guesses))
    return result


def main():
    """Run both models, and print the results."""
    train = load_wordnet()
    print(
        f"WordNet: {len(train.data):,} training texts, "
        f"{len(train.target_names):,} classes"
    )
    results = [run(SKMHE)]
    # "spawn", as forked processes can hang after the parent has used torch.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        results.append(pool.submit(run, "nearest centroid").result())

    print("\nSome test nouns, and the five most probable classes of each:")
    for text, truth, guesses in results[0]["examples"]:
        print(f"\n  {text}\n    true class: {truth}")
        for name, probability in guesses:
            mark = "*" if name == truth else " "
            print(f"    {mark} {probability:5.1%}  {name}")

    print(f"\n{'model':<32}{'accuracy':>9}{'fit':>9}{'predict':>9}{'peak memory':>13}")
    for r in results:
        print(
            f"{r['model']:<32}{r['accuracy']:>9.1%}{r['fit']:>7.1f} s"
            f"{r['predict']:>7.1f} s{r['memory']:>9.0f} MiB"
        )


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
