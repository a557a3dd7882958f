"""One class for each library: fit, predict the best labels, write the model to disk.

Imports happen when an object is made, and are not timed: each process imports only what
it measures, and the environment of the rivals has no skmhe. Settings are the libraries'
defaults or, where their documentation recommends others, those; each class names its
source.
"""

import contextlib
import os
import shutil
import sys
import tempfile

import numpy as np
import scipy.sparse as sp
from common import BEAM_WIDTH, N_THREADS, Pickled, dense_labels, row_text, to_indicator
from sklearn_models import LinearSvc, Logistic, Mlp, NearestCentroid, Sgd


class Ours(Pickled):
    """skmhe with its defaults and any parameters given.

    Parameters are set by `set_params`: JSON has names such as strategy__beam_width, but
    no parameter objects.
    """

    def __init__(self, n_labels, seed, **parameters):
        import skmhe

        self.library = skmhe
        self.parameters = {"random_state": seed, **parameters}

    def fit(self, X, y):
        name = "MHEClassifier" if y.ndim == 1 else "MHEMultiLabelClassifier"
        estimator = getattr(self.library, name)()
        self.model = estimator.set_params(**self.parameters).fit(X, y)

    def topk(self, X, k):
        return self.model.predict_topk(X, k)[0]

    def call(self, method, X):
        """Call a method of the estimator, for bench_outputs.py."""
        arguments = {"k": 5} if method == "predict_topk" else {}
        return getattr(self.model, method)(X, **arguments)


class OursByEpoch(Pickled):
    """An epoch of skmhe's network alone; labels that no sample has are known, too.

    Everything that a first call of partial_fit does is counted: label order, first
    weights.
    """

    def __init__(self, n_labels, seed, **parameters):
        from skmhe import MHEClassifier

        self.classes = np.arange(n_labels)
        parameters = {"random_state": seed, "model": "network", **parameters}
        self.model = MHEClassifier().set_params(**parameters)

    def fit(self, X, y):
        self.model.partial_fit(X, y, classes=self.classes)

    def topk(self, X, k):
        return self.model.predict_topk(X, k)[0]


class Pecos:
    """PECOS XR-Linear: PIFA label features, hierarchical k-means, a beam of 10.

    As in the README of pecos/xmc/xlinear, with the ranker's default parameters.
    """

    def __init__(self, n_labels, seed):
        import pecos.xmc
        import pecos.xmc.xlinear.model

        self.xmc = pecos.xmc
        self.n_labels, self.seed = n_labels, seed

    def fit(self, X, y):
        X, Y = sp.csr_matrix(X), to_indicator(y, self.n_labels)
        features = self.xmc.LabelEmbeddingFactory.create(Y, X, method="pifa")
        chain = self.xmc.Indexer.gen(
            features, "hierarchicalkmeans", seed=self.seed, threads=N_THREADS
        )
        ranker = self.xmc.xlinear.model.XLinearModel
        self.model = ranker.train(X, Y, C=chain, threads=N_THREADS)

    def topk(self, X, k):
        scores = self.model.predict(
            sp.csr_matrix(X),
            beam_size=BEAM_WIDTH,
            only_topk=k,
            threads=min(N_THREADS, X.shape[0]),
        )
        # Rows of the result are sorted by score already.
        return dense_labels(np.split(scores.indices, scores.indptr[1:-1]), k)

    def save(self, path):
        self.model.save(path)


class Omikuji:
    """omikuji with its default hyper-parameters (Parabel's), a beam of 10.

    Its trainer only reads files: writing the file is not counted, reading it is.
    Its predictor takes one row per call: converting the rows is not counted.
    """

    def __init__(self, n_labels, seed):
        import omikuji

        self.library, self.n_labels = omikuji, n_labels
        self.folder = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.folder.name, "train.txt")

    def prepare(self, X, y):
        Y = to_indicator(y, self.n_labels)
        with open(self.file, "w") as out:
            out.write(f"{X.shape[0]} {X.shape[1]} {self.n_labels}\n")
            for i in range(X.shape[0]):
                labels = Y.indices[Y.indptr[i] : Y.indptr[i + 1]]
                out.write(",".join(map(str, labels)) + " " + row_text(X, i) + "\n")

    def fit(self, X, y):
        parameters = self.library.Model.default_hyper_param()
        self.model = self.library.Model.train_on_data(
            self.file, parameters, n_threads=N_THREADS
        )

    def convert(self, X):
        return [
            list(
                zip(
                    X.indices[a:b].tolist(),
                    X.data[a:b].astype(float).tolist(),
                    strict=True,
                )
            )
            for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]

    def topk(self, rows, k):
        found = [self.model.predict(row, beam_size=BEAM_WIDTH, top_k=k) for row in rows]
        return dense_labels([[label for label, _ in row] for row in found], k)

    def save(self, path):
        self.model.save(str(path))


class Napkin:
    """napkinXC with its defaults: HSM for a single-label target, else a PLT."""

    def __init__(self, n_labels, seed):
        from napkinxc import models

        self.library, self.seed = models, seed
        self.folder = tempfile.TemporaryDirectory()

    def fit(self, X, y):
        kind = self.library.HSM if y.ndim == 1 else self.library.PLT
        self.model = kind(self.folder.name, threads=N_THREADS, seed=self.seed)
        if y.ndim == 2:
            Y = sp.csr_matrix(y)
            y = np.split(Y.indices, Y.indptr[1:-1])
        self.model.fit(
            sp.csr_matrix(X), [np.atleast_1d(labels).tolist() for labels in y]
        )

    def topk(self, X, k):
        return dense_labels(self.model.predict(sp.csr_matrix(X), top_k=k), k)

    def save(self, path):
        shutil.copytree(self.folder.name, path)


class LinearTree(Pickled):
    """LibMultiLabel's tree of linear classifiers, as in its tutorial on many labels.

    Defaults (the L2-loss SVM, 100 children of a node, a beam of 10), and the constant
    feature that its sample configurations of linear methods have (-B 1).
    """

    options = f"-s 1 -B 1 -q -m {N_THREADS}"
    rows_per_call = 256  # as in the tutorial: its scores are those of all labels

    def __init__(self, n_labels, seed):
        import libmultilabel.linear

        self.library = libmultilabel.linear
        self.n_labels, self.seed = n_labels, seed

    def fit(self, X, y):
        X, Y = sp.csr_matrix(X), to_indicator(y, self.n_labels).astype(np.float64)
        # It prints what it does; the last line of our output must be the figures.
        with contextlib.redirect_stdout(sys.stderr):
            self.model = self.train(Y, X)

    def train(self, Y, X):
        np.random.seed(self.seed)  # noqa: NPY002, which it makes clusters with
        return self.library.train_tree(Y, X, self.options, verbose=False)

    def topk(self, X, k):
        X, best = sp.csr_matrix(X), []
        for start in range(0, X.shape[0], self.rows_per_call):
            part = X[start : start + self.rows_per_call]
            scores = self.library.predict_values(self.model, part)
            best.append(np.argsort(-scores, axis=1, kind="stable")[:, :k])
        return np.concatenate(best)


class LinearTrees(LinearTree):
    """LibMultiLabel's ensemble of three such trees."""

    def train(self, Y, X):
        settings = {"n_trees": 3, "verbose": False, "seed": self.seed}
        return self.library.train_ensemble_tree(Y, X, self.options, **settings)


class FastText:
    """fastText, a word for each feature: what it reads has no weights.

    25 epochs at a rate of 0.5, which its tutorial arrives at; the one-vs-all loss for
    multi-label targets. Writing the file that it reads is not counted.
    """

    def __init__(self, n_labels, seed):
        import fasttext

        self.library, self.seed = fasttext, seed
        self.folder = tempfile.TemporaryDirectory()
        self.file = os.path.join(self.folder.name, "train.txt")

    def prepare(self, X, y):
        Y = to_indicator(y, y.shape[1] if y.ndim == 2 else int(y.max()) + 1)
        self.loss = "ova" if y.ndim == 2 else "softmax"
        with open(self.file, "w") as out:
            for i, words in enumerate(self.convert(X)):
                labels = Y.indices[Y.indptr[i] : Y.indptr[i + 1]]
                names = " ".join(f"__label__{label}" for label in labels)
                out.write(f"{names} {words}\n")

    def fit(self, X, y):
        self.model = self.library.train_supervised(
            input=self.file,
            epoch=25,
            lr=0.5,
            loss=self.loss,
            thread=N_THREADS,
            seed=self.seed,
            verbose=0,
        )

    def convert(self, X):
        return [
            " ".join(f"f{j}" for j in X.indices[a:b])
            for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]

    def topk(self, texts, k):
        rows, _ = self.model.predict(list(texts), k=k)
        prefix = len("__label__")
        return dense_labels([[int(name[prefix:]) for name in row] for row in rows], k)

    def save(self, path):
        self.model.save_model(str(path))


class TorchLinear(Pickled):
    """torch.nn.Linear with the cross-entropy: what one writes by hand, for dense X.

    Adam at 1e-2 falling to 0 linearly, batches of 512, 10 epochs.
    """

    def __init__(self, n_labels, seed):
        import torch

        self.torch = torch
        torch.set_num_threads(N_THREADS)
        torch.manual_seed(seed)
        self.n_labels = n_labels

    def fit(self, X, y, n_epochs=10, batch_size=512):
        torch = self.torch
        X, y = torch.from_numpy(X), torch.from_numpy(y)
        self.model = torch.nn.Linear(X.shape[1], self.n_labels)
        optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)
        n_steps = n_epochs * -(-len(X) // batch_size)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n_steps)
        for _ in range(n_epochs):
            for rows in torch.randperm(len(X)).split(batch_size):
                scores = self.model(X[rows])
                loss = torch.nn.functional.cross_entropy(scores, y[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()

    def topk(self, X, k):
        with self.torch.inference_mode():
            parts = self.torch.from_numpy(X).split(1024)
            return np.concatenate(
                [self.model(part).topk(k, dim=1).indices.numpy() for part in parts]
            )


MODELS = {
    "skmhe": Ours,
    "skmhe-epoch": OursByEpoch,
    "pecos": Pecos,
    "omikuji": Omikuji,
    "napkinxc": Napkin,
    "fasttext": FastText,
    "libmultilabel": LinearTree,
    "libmultilabel-3": LinearTrees,
    "linearsvc": LinearSvc,
    "sgd": Sgd,
    "mlp": Mlp,
    "logistic": Logistic,
    "torch": TorchLinear,
    "centroid": NearestCentroid,
}
