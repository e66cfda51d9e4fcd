"""A zip file that depends on nothing but the files in it: the same app makes the same archive, bit for bit."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from worker_ext.cli.progress import Step
from worker_ext.errors import ConfigurationError

_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that the format has
_UNIX = 3


def write_zip(output: Path, files: Sequence[tuple[str, Path]], step: Step) -> None:
    """Write an archive, in one step: an older one is there until the new one is complete.

    :param output: the archive.
    :param files: names in the archive, and the files.
    :param step: told what it is at.
    :raises ConfigurationError: a file cannot be read, or the archive cannot be written.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, path in files:
                step.tell(name)
                _add(archive, name, path)
        temporary.chmod(0o644)
        temporary.replace(output)
    except OSError as error:
        raise ConfigurationError(f"cannot be packed: {error.strerror}", file=error.filename or output) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    entry = zipfile.ZipInfo(name, _TIME)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.create_system = _UNIX
    is_program = path.stat().st_mode & 0o100
    entry.external_attr = (0o100755 if is_program else 0o100644) << 16
    with path.open("rb") as source, archive.open(entry, "w") as target:
        shutil.copyfileobj(source, target)
