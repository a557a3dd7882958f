"""What approximate search of shortlists saves, and which share of the labels it finds.

    python benchmarks/bench_search.py --copies 1 5 30

A shortlist holds the labels nearest to a sample, of which the label encoder takes hard
negatives. MHEClassifier is fitted to WordNet's nouns (the bundled data set) with
label features and hard negatives, and the embeddings of the labels and of the samples
that its last search compared are kept. For larger sets of labels, each further copy of
a label has a random other one added to it. Prints, for each search of
`shortlist_search`, the seconds to build its index and to search, and recall@20: the
share of the 20 nearest labels, found by the exact search, that it finds. The figures
are written to --out, see results.py.
"""

import argparse
import time
from contextlib import contextmanager

import numpy as np
import torch
from bench_accuracy import make_estimator
from data import VECTORIZER
from results import add_out_argument, print_rows, write
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe.datasets import load_wordnet
from skmhe.training.shortlists import SEARCHES

K, N_SAMPLES, CHUNK = 20, 5_000, 1_000


@contextmanager
def recorded_search():
    """Yield a dict that gets the labels and the samples of the last exact search."""
    search, kept = SEARCHES["exact"], {}

    def recording(labels):
        kept.update(labels=labels.detach().clone(), samples=[])
        find = search(labels)

        def recording_find(samples, k):
            kept["samples"].append(samples.detach().clone())
            return find(samples, k)

        return recording_find

    SEARCHES["exact"] = recording
    try:
        yield kept
    finally:
        SEARCHES["exact"] = search


def trained_embeddings():
    """Return embeddings of labels and samples, as a fit compares them."""
    train = load_wordnet()
    vectorizer = TfidfVectorizer(**VECTORIZER)
    X = vectorizer.fit_transform(train.data)
    parameters = {
        "label_encoder__n_shortlisted": 1,
        "label_encoder__shortlist_search": "exact",
    }
    clf = make_estimator(train.target, 0, parameters)
    with recorded_search() as kept:
        label_features = vectorizer.transform(train.label_texts)
        clf.fit(X, train.target, label_features=label_features)
    return kept["labels"], torch.cat(kept["samples"])


def with_copies(labels, n_copies):
    """Return labels, and copies of them that have another label added to them."""
    generator = torch.Generator().manual_seed(0)
    parts = [labels]
    for _ in range(n_copies - 1):
        others = labels[torch.randperm(len(labels), generator=generator)]
        parts.append(torch.nn.functional.normalize(labels + 0.7 * others))
    return torch.cat(parts)


def run_searches(labels, samples):
    """Return rows of figures by the name of the search."""
    rows, exact = {}, None
    for name, make in SEARCHES.items():
        start = time.perf_counter()
        find = make(labels)
        built = time.perf_counter()
        found = np.concatenate([find(part, K) for part in samples.split(CHUNK)])
        seconds = time.perf_counter() - built
        exact = found if exact is None else exact
        pairs = zip(exact, found, strict=True)
        rows[name] = {
            "build_s": built - start,
            "search_s": seconds,
            "row_ms": 1000 * seconds / len(samples),
            "recall@20": np.mean([len(np.intersect1d(*pair)) / K for pair in pairs]),
        }
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", nargs="+", type=int, default=[1])
    add_out_argument(parser, "search")
    args = parser.parse_args()
    labels, samples = trained_embeddings()
    for n_copies in args.copies:
        many = with_copies(labels, n_copies)
        rows, data = run_searches(many, samples[:N_SAMPLES]), f"{len(many):,}"
        print_rows(data, rows)
        write(args.out, "bench_search.py", data, rows, {"samples": N_SAMPLES})


if __name__ == "__main__":
    main()
