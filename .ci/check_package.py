"""Check the files of a release: what they hold, and that the wheel works on its own.

    python .ci/check_package.py [FOLDER]

FOLDER (dist, by default) holds an sdist and a wheel, as `python -m build` writes them.
The sdist must hold what git tracks, and the wheel what git tracks of the folder skmhe
(where there is no git, as in an unpacked sdist, their files are not compared). The
wheel is installed into a new environment that has what it requires and nothing else,
so that what only an extra installs is missing there, and smoke_test.py is run by that
environment; then once more with the extra `cli`, to try the command line. Nothing is
downloaded: the packages that the wheel requires are linked from the environment of the
Python that runs this.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
SMOKE_TEST = Path(__file__).with_name("smoke_test.py")


def tracked_files() -> set[str]:
    """Return the paths that git tracks, relative to the root."""
    # A checkout of another user, as in some containers, is only read here.
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    listed = subprocess.run(git, check=True, capture_output=True, text=True).stdout
    return {name for name in listed.split("\0") if name}


def differences(kind: str, found: set[str], expected: set[str]) -> list[str]:
    """Return a line for each file that is missing or should not be there."""
    return [
        *(f"the {kind} lacks {name}" for name in sorted(expected - found)),
        *(
            f"the {kind} holds {name}, which git does not track: add it to git or to "
            ".gitignore, or remove it"
            for name in sorted(found - expected)
        ),
    ]


def check_sdist(path: Path, tracked: set[str]) -> list[str]:
    """Return what is wrong with the files of an sdist."""
    with tarfile.open(path) as archive:
        names = {file.name.partition("/")[2] for file in archive if not file.isdir()}
    return differences("sdist", names, tracked | {"PKG-INFO"})


def check_wheel(path: Path, tracked: set[str]) -> list[str]:
    """Return what is wrong with the files of a wheel."""
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    package = {name for name in names if ".dist-info/" not in name}
    licenses = {name.partition("/licenses/")[2] for name in names - package} - {""}
    return [
        *differences("wheel", package, {n for n in tracked if n.startswith("skmhe/")}),
        *differences(
            "wheel's list of licenses",
            licenses,
            {name for name in tracked if name.endswith("LICENSE")},
        ),
    ]


def closure(requirements: Iterable[str], extra: str = "") -> list[Distribution]:
    """Return the installed distributions that requirements name, and what these need.

    They are those of an extra, too, if there is one. Requirements of other extras count
    only where a requirement names the extra.
    """
    found: dict[tuple[str, str], Distribution] = {}
    waiting = [(text, extra) for text in requirements]
    while waiting:
        text, of_extra = waiting.pop()
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is not None and not marker.evaluate({"extra": of_extra}):
            continue
        for inner in ("", *requirement.extras):
            key = canonicalize_name(requirement.name), inner
            if key not in found:
                found[key] = distribution(requirement.name)
                waiting += [(needed, inner) for needed in found[key].requires or ()]
    return list({dist.name: dist for dist in found.values()}.values())


def link(dist: Distribution, folder: Path) -> None:
    """Link the files of an installed distribution into another environment's folder."""
    assert dist.files is not None, f"{dist.name} has no list of its files"
    for name in {file.parts[0] for file in dist.files} - {"..", "__pycache__"}:
        place = folder / name
        if not place.exists():
            place.symlink_to(Path(str(dist.locate_file(name))).resolve())


def smoke_test(wheel: Path) -> int:
    """Install a wheel into an environment of its own; return its test's exit code."""
    (built,) = distributions(path=[str(wheel)])
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, symlinks=True)
        site = sysconfig.get_path("purelib", "venv", vars={"base": folder})
        for dist in closure(built.requires or ()):
            link(dist, Path(site))
        python = str(Path(folder, "bin", "python"))
        # It fails if the wheel requires what is not there.
        pip = [sys.executable, "-m", "pip", "--isolated", "--python", python, "install"]
        alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        subprocess.run(
            [*pip, "--quiet", "--no-index", str(wheel)], check=True, env=alone
        )
        test = [python, "-I", "-W", "error", str(SMOKE_TEST), built.version]
        code = subprocess.run(test, cwd=folder, check=False).returncode
        for dist in closure(built.requires or (), "cli"):
            link(dist, Path(site))
        with_extra = subprocess.run([*test, "cli"], cwd=folder, check=False)
        return code or with_extra.returncode


def main(folder: Path) -> int:
    """Print what is wrong, and return the exit code."""
    sdists, wheels = sorted(folder.glob("*.tar.gz")), sorted(folder.glob("*.whl"))
    if len(sdists) != 1 or len(wheels) != 1:
        found = ", ".join(path.name for path in sdists + wheels) or "neither"
        print(f"{folder} must hold one sdist and one wheel, but there is: {found}")
        return 2
    faults = []
    if (ROOT / ".git").exists():
        tracked = tracked_files()
        faults = check_sdist(sdists[0], tracked) + check_wheel(wheels[0], tracked)
        found = f"{sdists[0].name}, {wheels[0].name}: files as expected"
        print("\n".join(faults) or found, flush=True)
    return smoke_test(wheels[0]) or bool(faults)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist")
    sys.exit(main(parser.parse_args().folder))
