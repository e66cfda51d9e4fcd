"""Which package a release tag is about: ``python .github/release.py TAG`` prints its folder, name and version.

The tag ``v1.2.3`` is for worker-ext, ``timer-v1.2.3`` for the extension in ``extensions/timer``. A tag whose version
is not the one that the package would be published with, or that its changelog is silent about, is an error. What is
printed has the form of GitHub's step outputs.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TAG = re.compile(r"(?:(?P<extension>[a-z0-9][a-z0-9_-]*)-)?v(?P<version>\d[\w.]*)", re.ASCII)
NEWEST = re.compile(r"^## \[?(?P<version>[^\s\]]+)", re.MULTILINE)


def main(tag: str, root: Path = ROOT) -> None:
    """Print what to publish.

    :param tag: the tag's name.
    :param root: the folder of the repository.
    :raises SystemExit: with what is wrong with the tag, or with the package.
    """
    parts = TAG.fullmatch(tag)
    if parts is None:
        raise SystemExit(f"{tag}: a release tag is v1.2.3, or an extension's folder as in timer-v1.2.3")
    folder = Path("extensions", parts["extension"]) if parts["extension"] else Path()
    setup, changelog = folder / "setup.py", folder / "CHANGELOG.md"
    if not (root / setup).is_file():
        raise SystemExit(f"{tag}: there is no {setup.as_posix()}")

    command = [sys.executable, "setup.py", "--quiet", "--name", "--version"]
    name, version = subprocess.check_output(command, cwd=root / folder, text=True).split()[-2:]
    if version != parts["version"]:
        raise SystemExit(f"{tag}: the version in {setup.as_posix()} is {version}")
    newest = NEWEST.search((root / changelog).read_text(encoding="utf-8"))
    if newest is None or newest["version"] != version:
        raise SystemExit(f"{tag}: the newest entry of {changelog.as_posix()} is not about {version}")
    print(f"folder={folder.as_posix()}\nname={name}\nversion={version}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("usage: python .github/release.py TAG")
    main(sys.argv[1])
