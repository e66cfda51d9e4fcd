"""pip, run for an app's Python: for this machine, or for another one that the packages will be brought to."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from worker_ext.cli.progress import Step
from worker_ext.errors import ConfigurationError
from worker_ext.host.interpreter import find_python
from worker_ext.host.settings import load_local_settings

_LINUX = re.compile(r"linux[_-](\w+)")
_NEWEST_GLIBC, _OLDEST_GLIBC = 31, 17
"""Minor versions of glibc 2 that wheels for `linux_…` may need: that of Debian 11, which Azure's oldest image is
made of, down to that of manylinux2014."""
_ABOUT = "import sys; print('%d.%d' % sys.version_info[:2], flush=True); import pip"
_VERSION = re.compile(r"3\.\d{1,2}")
_ACTIVITY = re.compile(r"\s*(Collecting|Downloading|Using cached|Building wheel for|Saved)\s+(\S+)")
_MOST_ERROR_LINES = 15


class AppPip:
    """pip for the Python of an app.

    :param root: the app's folder.
    :param target_platform: the machine that the packages are for: ``linux_x86_64``, ``linux_aarch64``, or a platform
        tag of wheels such as ``win_amd64``; None for this machine.
    :param target_version: the version of Python that they are for, such as ``3.11``; None for the app's own.
    :raises ConfigurationError: there is no such Python, it has no pip, or the target makes no sense.
    """

    def __init__(self, root: Path, *, target_platform: str | None = None, target_version: str | None = None) -> None:
        environ, _ = load_local_settings(root).environment(os.environ)
        self.python = find_python(environ, root)
        self._command, own_version = self._find_pip()
        if target_version is not None and not _VERSION.fullmatch(target_version):
            raise ConfigurationError(f"--python-version {target_version!r} is no version such as 3.12")
        self.version = target_version or own_version
        self.is_for_here = self.version == own_version and target_platform in (None, this_platform())
        self.platform = target_platform or this_platform()

    def install(self, requirements: Path, target: Path, step: Step) -> None:
        """Install what a requirements file lists into a folder, without compiled ``.pyc`` files.

        :raises ConfigurationError: pip has failed.
        """
        arguments = ["--no-compile", "--no-warn-script-location", "--target", str(target), "-r", str(requirements)]
        self._run(["install", *self._target(), *arguments], step)

    def wheels(self, requirements: Sequence[str], folder: Path, step: Step) -> list[Path]:
        """Put the wheels of packages, and of what these need, into a folder.

        :raises ConfigurationError: pip has failed.
        """
        verb = "wheel" if self.is_for_here else "download"
        self._run(
            [
                verb,
                *self._target(),
                "--dest" if verb == "download" else "--wheel-dir",
                str(folder),
                "--",
                *requirements,
            ],
            step,
        )
        return sorted(folder.glob("*.whl"))

    def _target(self) -> list[str]:
        if self.is_for_here:
            return []
        tags = [self.platform]
        if linux := _LINUX.fullmatch(self.platform):
            glibc = range(_NEWEST_GLIBC, _OLDEST_GLIBC - 1, -1)
            tags = [*(f"manylinux_2_{minor}_{linux[1]}" for minor in glibc), f"manylinux2014_{linux[1]}"]
        platforms = [word for tag in tags for word in ("--platform", tag)]
        return [*platforms, "--python-version", self.version, "--implementation", "cp", "--only-binary=:all:"]

    def _find_pip(self) -> tuple[list[str], str]:
        """The beginning of pip's command line, and the version of the app's Python."""
        try:
            asked = self._call([self.python, "-c", _ABOUT])
        except OSError as error:
            raise ConfigurationError(
                f"the app's Python cannot be run: {error.strerror}", file=self.python, hint="Make a new .venv."
            ) from None
        version = asked.stdout.strip()
        if asked.returncode == 0:
            return [self.python, "-m", "pip"], version
        # An environment may have been made without pip; ours can install for it.
        if version and self._call([sys.executable, "-c", "import pip"]).returncode == 0:
            return [sys.executable, "-m", "pip", "--python", self.python], version
        raise ConfigurationError(
            "the app's Python has no pip", file=self.python, hint=f"{self.python} -m ensurepip --upgrade"
        )

    @staticmethod
    def _call(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def _run(self, arguments: Sequence[str], step: Step) -> None:
        """Run pip, and show what it is at."""
        command = [*self._command, "--disable-pip-version-check", "--no-input", "--no-color", *arguments]
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                encoding="utf-8",
                errors="replace",
            )
            try:
                assert process.stdout is not None
                for line in process.stdout:
                    if activity := _ACTIVITY.match(line):
                        step.tell(activity[2].rpartition("/")[2])
                status = process.wait()
            except BaseException:
                process.kill()
                process.wait()
                raise
            if status:
                errors.seek(0)
                raise self._failure(errors.read())

    def _failure(self, errors: str) -> ConfigurationError:
        lines = [line for line in errors.splitlines() if line.strip() and not line.startswith("WARNING: ")]
        hint = "\n  ".join(lines[-_MOST_ERROR_LINES:])
        if not self.is_for_here:
            hint += (
                f"\n  For another machine ({self.platform}, Python {self.version}) only wheels can be used. Where a "
                "package has none, make one there with `pip wheel`, and name its folder in PIP_FIND_LINKS."
            )
        return ConfigurationError("pip could not get all packages", hint=hint)


def this_platform() -> str:
    """The platform tag of the machine that runs this, such as ``linux_x86_64`` or ``macosx_14_0_arm64``."""
    return re.sub(r"[-.]", "_", sysconfig.get_platform())
