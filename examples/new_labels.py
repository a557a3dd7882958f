"""Predict classes without training samples, from their descriptions.

As in quickstart.py, WordNet's nouns are classified into their direct hypernyms. Here, a
fifth of the classes is held out: there are no training samples of them. The other
classes are learned from their samples and from their descriptions, which are the words
and glosses of the hypernyms (`label_features`). Then the held-out classes are added by
their descriptions alone (`add_labels`), and can be predicted. The baseline predicts the
classes whose descriptions are most similar to the noun's, by TF-IDF.

Run it with ``python examples/new_labels.py``. It takes one or two minutes.
"""

import argparse
import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import MHEClassifier
from skmhe.datasets import load_wordnet
from skmhe.metrics import precision_at_k, recall_at_k

HELD_OUT = 0.2
K = 10
N_SHOWN = 6


def nearest(X, Z):
    """Return the K classes with the most similar descriptions, best first."""
    Z_columns, found = Z.T.tocsr(), []
    for start in range(0, X.shape[0], 1000):
        cosines = (X[start : start + 1000] @ Z_columns).toarray()
        found.append(np.argsort(-cosines, axis=1, kind="stable")[:, :K])
    return np.concatenate(found)


def main():
    """Fit, add the held-out classes, and print predictions."""
    train, test = load_wordnet(), load_wordnet(subset="test")
    names = train.target_names
    held_out = np.random.RandomState(0).random_sample(len(names)) < HELD_OUT
    known, new = np.flatnonzero(~held_out), np.flatnonzero(held_out)
    rows = ~held_out[train.target]

    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    X = vectorizer.fit_transform(
        [t for t, kept in zip(train.data, rows, strict=True) if kept]
    )
    X_test, Z = map(vectorizer.transform, (test.data, train.label_texts))

    print(f"{X.shape[0]:,} nouns of {len(known):,} classes; {len(new):,} held out")
    clf, start = MHEClassifier(random_state=0), time.perf_counter()
    clf.fit(X, train.target[rows], label_features=Z[known])
    fitted = time.perf_counter()
    before, _ = clf.predict_topk(X_test, k=K)
    start_adding = time.perf_counter()
    clf.add_labels(Z[new], labels=new)
    added = time.perf_counter()
    labels, scores = clf.predict_topk(X_test, k=K)
    print(f"fit {fitted - start:.1f} s, add_labels {added - start_adding:.2f} s")

    is_new = held_out[test.target]
    shown = np.random.RandomState(1).choice(np.flatnonzero(is_new), N_SHOWN, False)
    print("\nTest nouns of held-out classes, and the five most probable classes:")
    for i in shown:
        print(f"\n  {test.data[i]}\n    true class (new): {names[test.target[i]]}")
        for label, score in zip(labels[i, :5], scores[i, :5], strict=True):
            mark = "*" if label == test.target[i] else " "
            kind = "new" if held_out[label] else "   "
            print(f"    {mark} {kind} {score:5.1%}  {names[label]}")

    similar = nearest(X_test, Z)
    header = f"recall@{K}, new", f"recall@{K}, others", "precision@1"
    print(f"\n{'':<22}" + "".join(f"{name:>18}" for name in header))
    for name, found in (
        ("most similar", similar),
        ("before add_labels", before),
        ("after add_labels", labels),
    ):
        figures = [
            recall_at_k(test.target[is_new], found[is_new], k=K),
            recall_at_k(test.target[~is_new], found[~is_new], k=K),
            precision_at_k(test.target, found, k=1),
        ]
        print(f"{name:<22}" + "".join(f"{figure:>18.1%}" for figure in figures))


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
