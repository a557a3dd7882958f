"""Debian's files, downloaded by apt-get, and the packages that packages depend on."""

import re
import subprocess

from .corpus import Corpus, checksum, in_test_part

RELEASE, ARCHITECTURE = "bookworm", "amd64"
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Debian:
    """Debian's files, downloaded into a folder of their own when they are asked for.

    Neither the sources nor the lists of the machine's own apt-get are used.
    """

    def __init__(self, folder, mirror=MIRROR):
        self.folder = folder.resolve()
        self.is_updated = self.has_wordnet = False
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        sources = self.folder / "sources.list"
        options = f"arch={ARCHITECTURE} signed-by={KEYRING}"
        sources.write_text(f"deb [{options}] {mirror} {RELEASE} main\n")
        settings = {
            "APT::Architecture": ARCHITECTURE,
            "APT::Sandbox::User": "root",
            # The index files of snapshots are out of date, as they should be.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::GzipIndexes": "false",
            "Acquire::Languages": "en",
            "Dir::Cache": self.folder / "cache",
            "Dir::Etc::sourcelist": sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": self.folder / "lists",
        }
        self.options = [f"--option={name}={value}" for name, value in settings.items()]

    def apt_get(self, *arguments):
        command = ["apt-get", "--quiet", *self.options, *arguments]
        subprocess.run(command, cwd=self.folder, check=True)

    def update(self):
        if not self.is_updated:
            self.apt_get("update")
            self.is_updated = True

    def list_file(self, suffix):
        """Return the path of a file of the release that apt-get downloaded."""
        self.update()
        (path,) = (self.folder / "lists").glob(f"*_dists_{RELEASE}_{suffix}")
        return path

    def packages(self):
        return self.list_file(f"main_binary-{ARCHITECTURE}_Packages")

    def descriptions(self):
        return self.list_file("main_i18n_Translation-en")

    def wordnet_file(self, name):
        """Return the path of a file of WordNet."""
        path = self.folder / "wordnet" / "usr" / "share" / "wordnet" / name
        if self.has_wordnet:
            return path
        self.update()
        self.apt_get("download", "wordnet-base")
        package = max(self.folder.glob("wordnet-base_*.deb"))
        command = ["dpkg-deb", "--extract", package, self.folder / "wordnet"]
        subprocess.run(command, check=True)
        self.has_wordnet = True
        return path


def read_stanzas(path):
    """Yield the stanzas of one of Debian's control files as dicts of fields."""
    with path.open(encoding="utf-8") as file:
        for stanza in re.split(r"\n{2,}", file.read().strip("\n")):
            # A line that starts with a space continues the field before.
            fields = re.split(r"\n(?=\S)", stanza)
            pairs = (field.partition(":") for field in fields)
            yield {name: value.strip() for name, _, value in pairs}


def dependencies(package):
    """Return the names in a package's field Depends, all alternatives included."""
    clauses = re.split(r"[,|]", package.get("Depends", ""))
    # What follows a name is an architecture (:any) or a version (>= 2.1).
    return {re.match(r"[^\s:(\[<]*", clause.strip())[0] for clause in clauses} - {""}


def words_of(name):
    return re.sub(r"[-.+]", " ", name)


def source_of(package):
    """Return the name of the source package; "Source" may have a version behind it."""
    return package.get("Source", package["Package"]).split()[0]


def tags(package):
    """Return the names in a package's field Tag, with their facet (role::program)."""
    names = package.get("Tag", "").replace("\n", " ").split(",")
    return {name.strip() for name in names} - {""}


def section(package):
    """Return the section of the archive, as a set of one name."""
    return {package["Section"].rpartition("/")[2]}


def read_texts(packages, descriptions):
    """Return packages, dicts of fields, and the text of each: name and description."""
    long_descriptions = {
        stanza["Description-md5"]: stanza["Description-en"]
        for stanza in read_stanzas(descriptions)
    }
    # A few packages are listed in two versions: the last one counts.
    by_name = {package["Package"]: package for package in read_stanzas(packages)}
    texts = []
    for package in by_name.values():
        short = package["Description"]
        description = long_descriptions.get(package.get("Description-md5"), short)
        lines = (line.strip() for line in description.split("\n"))
        texts.append(" ".join([words_of(package["Package"]), *lines]))
    return list(by_name.values()), texts


def read_packages(packages, descriptions, labels_of, label_text, multilabel, what):
    """Return the corpus of Debian's packages and labels that a function gives them.

    `label_text` maps the packages' own texts, by their names, and a label to its text;
    `what` describes the labels.
    """
    found, texts = read_texts(packages, descriptions)
    labels = [labels_of(package) for package in found]
    chosen = [i for i, names in enumerate(labels) if names]
    of_packages = {
        package["Package"]: " ".join(text.split())
        for package, text in zip(found, texts, strict=True)
    }
    return Corpus(
        texts=[texts[i] for i in chosen],
        labels=[labels[i] for i in chosen],
        is_test=in_test_part(source_of(found[i]) for i in chosen),
        label_texts={
            name: label_text(of_packages, name) for name in set().union(*labels)
        },
        multilabel=multilabel,
        min_samples=2,
        origin=f"Debian {RELEASE}, main, {ARCHITECTURE}: list of packages\n"
        f"(SHA-256 {checksum(packages)}) and\n"
        f"descriptions (SHA-256 {checksum(descriptions)}).\n"
        f"Text: name and description of a package. {what}\n"
        "Key of the split: the name of the source package.",
    )


def read_debdeps(packages, descriptions):
    """Return the corpus of Debian's packages and what they depend on."""

    def text(of_packages, name):
        # A virtual package has no description: its text is its name.
        return of_packages.get(name) or " ".join(words_of(name).split())

    what = "Labels: the names in its field\nDepends, all alternatives."
    return read_packages(packages, descriptions, dependencies, text, True, what)


def read_debtags(packages, descriptions):
    """Return the corpus of Debian's packages and the tags that people gave them."""

    def text(_, name):
        return " ".join(re.split(r"\W+", name))

    what = "Labels: the tags in its field\nTag."
    return read_packages(packages, descriptions, tags, text, True, what)


def read_debsection(packages, descriptions):
    """Return the corpus of Debian's packages and the sections that they are in."""
    what = "Class: its section of the\narchive."
    arguments = section, lambda _, name: name, False, what
    return read_packages(packages, descriptions, *arguments)
