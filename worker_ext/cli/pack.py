"""``func pack``: a zip file that can be deployed, or packages unpacked beside the code that imports them."""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path

from worker_ext.cli import core_tools, requirements
from worker_ext.cli.app_files import PACKAGES, app_files
from worker_ext.cli.app_pip import AppPip
from worker_ext.cli.archive import write_zip
from worker_ext.cli.progress import Step
from worker_ext.cli.project import V2_FILE, Project
from worker_ext.cli.unpack import unpack_wheels
from worker_ext.errors import ConfigurationError
from worker_ext.host.settings import load_local_settings
from worker_ext.runtimes.azure.v2 import SCRIPT_SETTING

_AZURE = "linux_x86_64"
"""What Azure runs Python functions on."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func pack``."""
    parser.add_argument("words", nargs="*", metavar="FOLDER | NAME", help="the app's folder; with --target, packages")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE.zip", help="the zip file (default: FOLDER.zip, here)"
    )
    parser.add_argument("--no-build", action="store_true", help=f"install nothing; take {PACKAGES} as it is")
    parser.add_argument(
        "--target", type=Path, metavar="DIR", help="make no zip file: unpack the packages NAME into DIR"
    )
    parser.add_argument("--force", action="store_true", help="with --target: replace packages that are there")
    parser.add_argument(
        "--platform", metavar="NAME", help=f"machine that packages are for: {_AZURE}, linux_aarch64, or a wheel's tag"
    )
    parser.add_argument("--python-version", metavar="X.Y", help="Python that packages are for (default: the app's)")
    parser.add_argument("--build-native-deps", action="store_true", help="left to Azure Functions Core Tools")
    parser.add_argument("--squashfs", action="store_true", help="left to Azure Functions Core Tools")


def run(arguments: Namespace) -> int:
    """Pack.

    :raises ConfigurationError: this is no app, its packages cannot be had, or a file cannot be read or written.
    """
    for option in ("build_native_deps", "squashfs"):
        if getattr(arguments, option):
            return core_tools.hand_over(arguments.command_line, f"`func pack --{option.replace('_', '-')}`")
    if arguments.target is not None:
        return _unpack(arguments)
    if len(arguments.words) > 1:
        raise ConfigurationError(
            f"{arguments.words[1]!r} is one word too many: `func pack` takes one folder",
            hint="To unpack packages into a folder: func pack --target DIR NAME...",
        )
    return _pack(Path(*arguments.words), arguments)


def _pack(root: Path, arguments: Namespace) -> int:
    if not root.is_dir():
        raise ConfigurationError("is no folder", file=root)
    root = root.resolve()
    _check(root)
    output = _output(arguments.output, root)
    with tempfile.TemporaryDirectory(prefix="func-pack-") as temporary:
        installed = Path(temporary) / PACKAGES
        if not arguments.no_build:
            _install(root, installed, arguments)
        with Step(f"Packing {root.name}") as step:
            leave_out = {output, root / f"{root.name}.zip"} | (set() if arguments.no_build else {root / PACKAGES})
            files = [*app_files(root, leave_out=frozenset(leave_out)), *_installed_files(installed)]
            write_zip(output, files, step)
    print(f"{output}: {len(files):,} files, {output.stat().st_size:,} bytes")
    return 0


def _installed_files(installed: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(installed.rglob("*")):
        # The programs of packages begin with the path of the Python that has installed them.
        if path.is_file() and path.relative_to(installed).parts[2:3] != ("bin",):
            yield f"{PACKAGES}/{path.relative_to(installed).as_posix()}", path


def _install(root: Path, installed: Path, arguments: Namespace) -> None:
    file = root / requirements.FILE_NAME
    if not file.is_file():
        raise ConfigurationError(
            f"there is no {file.name}, which says what the app needs",
            file=root,
            hint="Make one with at least the line azure-functions, or pack with --no-build.",
        )
    pip = AppPip(root, target_platform=arguments.platform or _AZURE, target_version=arguments.python_version)
    target = installed / "lib" / "site-packages"
    target.mkdir(parents=True)
    with Step(f"Installing packages for Python {pip.version} on {pip.platform}") as step:
        pip.install(file, target, step)


def _check(root: Path) -> None:
    project = Project(root)
    project.require_host_json()
    script = load_local_settings(root).values.get(SCRIPT_SETTING) or V2_FILE
    if not (root / script).is_file() and not project.v1_functions():
        raise ConfigurationError(
            f"there are no functions: neither a {script} (v2) nor a folder with a function.json (v1)",
            file=root,
            hint="Make one:  func new -t HttpTrigger -n HttpTrigger",
        )


def _output(wanted: Path | None, root: Path) -> Path:
    output = Path(f"{root.name}.zip") if wanted is None else wanted
    if output.is_dir():
        output /= f"{root.name}.zip"
    elif output.suffix.lower() != ".zip":
        output = output.with_name(f"{output.name}.zip")
    if not output.parent.is_dir():
        raise ConfigurationError("there is no such folder", file=output.parent)
    return output.resolve()


def _unpack(arguments: Namespace) -> int:
    names, target = arguments.words, arguments.target
    if not names:
        raise ConfigurationError("which packages? Name them:  func pack --target DIR NAME...")
    if arguments.output or arguments.no_build:
        raise ConfigurationError("--output and --no-build are for a zip file, which --target does not make")
    if (option := next((name for name in names if name.startswith("-")), None)) is not None:
        raise ConfigurationError(f"{option!r} is no package's name")
    pip = AppPip(Path.cwd(), target_platform=arguments.platform, target_version=arguments.python_version)
    with tempfile.TemporaryDirectory(prefix="func-pack-") as temporary:
        with Step(f"Getting {', '.join(names)} for Python {pip.version} on {pip.platform}") as step:
            wheels = pip.wheels(names, Path(temporary), step)
        unpacked = unpack_wheels(wheels, target, replace=arguments.force)
    for name in unpacked:
        print(f"Unpacked {name}")
    print(f"{target}: code in this folder can import them.")
    return 0
