"""Which files of an app are deployed: all but those that ``.funcignore`` lists and those that never are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from worker_ext.errors import ConfigurationError

FUNCIGNORE = ".funcignore"
PACKAGES = ".python_packages"
"""Where the platform looks for an app's packages: in ``lib/site-packages`` below."""

_NEVER = frozenset((".git", ".vscode", ".gitignore", FUNCIGNORE, "local.settings.json", "__pycache__"))
"""Names that are left out wherever they are: the first five, as Azure's own tool does it."""


class _Spec(Protocol):
    def match_file(self, file: str) -> bool: ...


def app_files(root: Path, *, leave_out: frozenset[Path] = frozenset()) -> Iterator[tuple[str, Path]]:
    """The files of an app that are deployed, sorted: their names below the root, with slashes, and their paths.

    ``.funcignore`` means what ``.gitignore`` would, so that what lies in a folder that is left out cannot be taken
    back. A virtual environment is left out, and a link that leads out of the app.

    :param root: the app's folder.
    :param leave_out: further files and folders to leave out.
    :raises ConfigurationError: ``.funcignore`` cannot be read, or a line of it is no pattern.
    """
    yield from _walk(root.resolve(), root.resolve(), "", _read_spec(root / FUNCIGNORE), leave_out)


def _walk(root: Path, folder: Path, prefix: str, spec: _Spec, leave_out: frozenset[Path]) -> Iterator[tuple[str, Path]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=folder) from None
    for entry in entries:
        name, path = f"{prefix}{entry.name}", Path(entry.path)
        is_folder = entry.is_dir()
        if entry.name in _NEVER or path in leave_out or spec.match_file(f"{name}/" if is_folder else name):
            continue
        if entry.is_symlink() and not _leads_into(path, root, from_folder=folder):
            continue
        if is_folder:
            if not (path / "pyvenv.cfg").is_file():
                yield from _walk(root, path, f"{name}/", spec, leave_out)
        elif entry.is_file():  # sockets and the like cannot be deployed
            yield name, path


def _leads_into(link: Path, root: Path, *, from_folder: Path) -> bool:
    """Whether a link leads to something in the app, and not to a folder that it is in itself."""
    target = link.resolve()
    return target.is_relative_to(root) and not from_folder.is_relative_to(target)


def _read_spec(path: Path) -> _Spec:
    try:
        from pathspec import GitIgnoreSpec
    except ImportError:
        raise ConfigurationError(
            "`func pack` needs pathspec, which a bare install leaves out", hint="pip install 'worker-ext[host]'"
        ) from None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines() if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot be read: {error}", file=path) from None
    for number, line in enumerate(lines, start=1):
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError as error:
            raise ConfigurationError(f"is no pattern: {error}", file=path, line=number) from None
    spec: _Spec = GitIgnoreSpec.from_lines(lines)
    return spec
