"""What approximate search of shortlists saves, and which share of the labels it finds.

    python benchmarks/bench_search.py --copies 1 5

A label encoder is trained on WordNet's nouns (the bundled data set) and their kinds.
Then the texts of all training nouns take the part of labels, and the test nouns that of
samples. For larger sets, each further copy of a text has a random other one added.
Prints, for both searches of `shortlist_search`, the seconds to build and to search, and
recall@20: the share of the exact 20 nearest labels that are found.
"""

import argparse
import time

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

from skmhe import MHEClassifier
from skmhe._network import rows_to_tensor
from skmhe._search import SEARCHES
from skmhe.datasets import load_wordnet

K, N_SAMPLES, CHUNK = 20, 5_000, 1_000


def with_copies(rows, n_copies, rng):
    """Return rows, and copies of them that have another row added to them."""
    parts = [rows]
    for _ in range(n_copies - 1):
        parts.append(rows + 0.7 * rows[rng.permutation(rows.shape[0])])
    return normalize(sp.vstack(parts, format="csr"))


@torch.inference_mode()
def embed(function, rows):
    """Return embeddings of many rows."""
    parts = range(0, rows.shape[0], CHUNK)
    return torch.cat([function(rows[start : start + CHUNK]) for start in parts])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", nargs="+", type=int, default=[1])
    args = parser.parse_args()
    train, test = load_wordnet(), load_wordnet(subset="test")
    vectorizer = TfidfVectorizer(sublinear_tf=True, min_df=2, dtype=np.float32)
    X = vectorizer.fit_transform(train.data)
    Z, samples = map(vectorizer.transform, (train.label_texts, test.data))
    clf = MHEClassifier(random_state=0).fit(X, train.target, label_features=Z)
    network = clf._network()
    device = next(network.parameters()).device
    queries = embed(
        lambda rows: network.embed_samples(rows_to_tensor(rows, device)),
        samples[:N_SAMPLES],
    )
    print("| labels | search | build s | search s | ms a sample | recall@20 |")
    print("|---" * 6 + "|")
    for n_copies in args.copies:
        rows = with_copies(X, n_copies, np.random.RandomState(0))
        labels, exact = embed(network.embed_labels, rows), None
        for name, make in SEARCHES.items():
            start = time.perf_counter()
            find = make(labels)
            built = time.perf_counter()
            parts = range(0, N_SAMPLES, CHUNK)
            found = np.concatenate([find(queries[i : i + CHUNK], K) for i in parts])
            seconds = time.perf_counter() - built
            exact = found if exact is None else exact
            pairs = zip(exact, found, strict=True)
            recall = np.mean([len(np.intersect1d(*pair)) / K for pair in pairs])
            cells = [f"{labels.shape[0]:,}", name, f"{built - start:.1f}"]
            cells += [f"{seconds:.1f}", f"{1000 * seconds / N_SAMPLES:.2f}"]
            print(f"| {' | '.join(cells)} | {recall:.3f} |", flush=True)


if __name__ == "__main__":
    main()
