"""The kinds of apps: how each is recognised, and which module runs it."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _ArgumentGroup
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol, cast

from ..errors import ConfigurationError


class KindModule(Protocol):
    """What the module of a kind offers."""

    def add_arguments(self, parser: ArgumentParser | _ArgumentGroup) -> list[Action]:
        """Declare the options of ``func host start`` that only this kind has, and return them."""

    def serve(self, arguments: Namespace) -> int:
        """Run the app in ``arguments.script_root`` until it is told to stop, and return the exit status."""

    def call(self, arguments: Namespace) -> int:
        """Call ``arguments.function`` once with ``arguments.payload``, and return the exit status."""


class Kind(NamedTuple):
    """A kind of app.

    :ivar title: what people call it.
    :ivar marks: files, seen from an app's folder, one of which shows that it is of this kind.
    :ivar module: what runs it, a :class:`KindModule`.
    :ivar needs: the modules that its host imports.
    :ivar extra: the extra of worker-ext that installs them.
    """

    title: str
    marks: tuple[str, ...]
    module: str
    needs: tuple[str, ...]
    extra: str

    def load(self) -> KindModule:
        """Import the module."""
        return cast(KindModule, import_module(self.module))

    def require(self) -> None:
        """See to it that the host can be run.

        :raises ConfigurationError: if a package is missing.
        """
        missing = [name for name in self.needs if find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"the local host needs {' and '.join(missing)}, which a bare install leaves out",
                hint=f"pip install 'worker-ext[{self.extra}]'",
            )


AZURE = Kind("Azure Functions", ("host.json",), "worker_ext.cli.kind_azure", ("httptools", "watchfiles"), "host")
BAETYL = Kind(
    "Baetyl",
    ("var/db/baetyl/application.yml", "application.yml"),
    "worker_ext.cli.kind_baetyl",
    ("yaml", "amqtt", "watchfiles"),
    "baetyl",
)
KINDS = (AZURE, BAETYL)
"""The kinds, in the order in which folders are tried for them. What is none of them is taken for the first."""


def kind_of(folder: Path) -> Kind:
    """The kind of the app in a folder.

    :raises ConfigurationError: if there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"--script-root {str(folder)!r} is not a folder")
    return next((kind for kind in KINDS if any((folder / mark).is_file() for mark in kind.marks)), KINDS[0])
