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
        self.is_updated = False
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

    def data_noun(self):
        """Return the path of WordNet's file of nouns."""
        self.update()
        self.apt_get("download", "wordnet-base")
        package = max(self.folder.glob("wordnet-base_*.deb"))
        command = ["dpkg-deb", "--extract", package, self.folder / "wordnet"]
        subprocess.run(command, check=True)
        return self.folder / "wordnet" / "usr" / "share" / "wordnet" / "data.noun"


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


def read_debdeps(packages, descriptions):
    """Return the corpus of Debian's packages and what they depend on."""
    long_descriptions = {
        stanza["Description-md5"]: stanza["Description-en"]
        for stanza in read_stanzas(descriptions)
    }
    # A few packages are listed in two versions: the last one counts.
    by_name = {package["Package"]: package for package in read_stanzas(packages)}
    texts, labels, sources, label_texts = [], [], [], {}
    for package in by_name.values():
        short = package["Description"]
        description = long_descriptions.get(package.get("Description-md5"), short)
        lines = (line.strip() for line in description.split("\n"))
        text = " ".join([words_of(package["Package"]), *lines])
        label_texts[package["Package"]] = " ".join(text.split())
        if names := dependencies(package):
            texts.append(text)
            labels.append(names)
            sources.append(source_of(package))
    # A virtual package has no description: its text is its name.
    for name in set().union(*labels) - label_texts.keys():
        label_texts[name] = " ".join(words_of(name).split())
    return Corpus(
        texts=texts,
        labels=labels,
        is_test=in_test_part(sources),
        label_texts=label_texts,
        multilabel=True,
        min_samples=2,
        origin=f"Debian {RELEASE}, main, {ARCHITECTURE}: list of packages\n"
        f"(SHA-256 {checksum(packages)}) and\n"
        f"descriptions (SHA-256 {checksum(descriptions)}).\n"
        "Text: name and description of a package. Labels: the names in its field\n"
        "Depends, all alternatives. Key of the split: the name of the source package.",
    )
