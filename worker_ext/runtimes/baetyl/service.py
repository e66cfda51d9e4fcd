"""Which functions a worker process runs. Its host, which has read that in ``service.yml``, says so in a setting."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

SETTING = "WORKER_EXT_BAETYL_FUNCTIONS"
"""The environment variable that lists a worker's functions, as JSON."""


@dataclass(frozen=True)
class FunctionEntry:
    """A function as ``service.yml`` declares it, with its places resolved.

    :ivar name: its name.
    :ivar handler: ``module.function``; the module may be in packages of the code folder (``package.module.function``).
    :ivar codedir: the absolute path of the code folder, which is an import root.
    """

    name: str
    handler: str
    codedir: str


def pack(functions: Iterable[FunctionEntry]) -> str:
    """The value of :data:`SETTING`."""
    return json.dumps([asdict(function) for function in functions])


def unpack(environ: Mapping[str, str]) -> list[FunctionEntry]:
    """The functions that :data:`SETTING` lists."""
    return [FunctionEntry(**fields) for fields in json.loads(environ[SETTING])]


def code_folders(functions: Iterable[FunctionEntry]) -> list[Path]:
    """The code folders of these functions, each once, in order."""
    return list(dict.fromkeys(Path(function.codedir) for function in functions))
