"""Unpack wheels into the folder of the code that imports them.

What people do by hand with ``pip download``, ``unzip`` and ``touch __init__.py``. Unlike them, this keeps the
packages' descriptions (``*.dist-info``): packages read their own version there.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from worker_ext.errors import ConfigurationError

_IMPORTABLE = ("purelib", "platlib")
"""The parts of a wheel's ``.data`` folder that belong beside its other modules (PEP 427)."""


def unpack_wheels(wheels: Sequence[Path], target: Path, *, replace: bool = False) -> list[str]:
    """Unpack wheels, and make the folder a package.

    :param wheels: the wheels.
    :param target: the folder; it is made if it is not there.
    :param replace: whether to replace what is there; otherwise it is an error.
    :return: name and version of each.
    :raises ConfigurationError: something of that name is there, a wheel is damaged, or a file cannot be written.
    """
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".func-pack-", dir=target) as temporary:
            staged = Path(temporary)
            for wheel in wheels:
                _unpack(wheel, staged)
            entries = sorted(staged.iterdir())
            taken = [target / entry.name for entry in entries if (target / entry.name).exists()]
            taken += [old for entry in entries for old in _other_versions(target, entry.name)]
            if taken and not replace:
                raise ConfigurationError(
                    "is there already" + (f", and so are {len(taken) - 1} more" if len(taken) > 1 else ""),
                    file=taken[0],
                    hint="Replace what is there with --force.",
                )
            for path in taken:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            for entry in entries:
                shutil.move(entry, target / entry.name)
        (target / "__init__.py").touch()
    except OSError as error:
        raise ConfigurationError(f"cannot be written: {error.strerror}", file=error.filename or target) from None
    return [" ".join(wheel.name.split("-")[:2]) for wheel in wheels]


def _unpack(wheel: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            for entry in archive.infolist():
                name = _place(entry.filename)
                if name is not None and not entry.is_dir():
                    path = target / name
                    path.parent.mkdir(parents=True, exist_ok=True)
                    with archive.open(entry) as source, path.open("wb") as copy:
                        shutil.copyfileobj(source, copy)
                    if entry.external_attr >> 16 & 0o100:
                        path.chmod(0o755)
    except zipfile.BadZipFile as error:
        raise ConfigurationError(f"the wheel is damaged: {error}", file=wheel) from None


def _place(name: str) -> PurePosixPath | None:
    """Where a file of a wheel belongs, None for what is no module: programs, headers, data.

    :raises zipfile.BadZipFile: it would lie outside of the folder.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or ":" in name:
        raise zipfile.BadZipFile(f"it has a file called {name!r}")
    if not path.parts[0].endswith(".data"):
        return path
    if len(path.parts) > 2 and path.parts[1] in _IMPORTABLE:
        return PurePosixPath(*path.parts[2:])
    return None


def _other_versions(target: Path, name: str) -> Iterator[Path]:
    """The descriptions of other versions of the package that ``name`` describes."""
    package, _, rest = name.partition("-")
    if rest.endswith(".dist-info"):
        yield from (path for path in target.glob(f"{package}-*.dist-info") if path.name != name)
