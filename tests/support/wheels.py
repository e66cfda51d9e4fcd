"""Wheels that a test makes itself, and an index that consists of nothing else."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str],
    *,
    version: str = "1.0",
    tag: str = "py3-none-any",
    requires: Sequence[str] = (),
) -> Path:
    """Write a wheel.

    :param folder: where to.
    :param files: what is in it besides its description, by name.
    :param requires: what it depends on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = "\n".join(
        [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {one}" for one in requires),
        ]
    )
    pure = "true" if tag.endswith("-any") else "false"
    content = {
        **files,
        f"{info}/METADATA": f"{metadata}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: {pure}\nTag: {tag}\n",
    }
    path = folder / f"{stem}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in content.items():
            archive.writestr(file, text)
        record = "".join(f"{file},,\n" for file in (*content, f"{info}/RECORD"))
        archive.writestr(f"{info}/RECORD", record)
    return path


def only_these(folder: Path) -> dict[str, str]:
    """The environment in which pip knows the wheels in ``folder`` and no index."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}
