"""The commands of a page, run as its reader would: one after the other, in one shell, servers in the background."""

from __future__ import annotations

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import sysconfig
import tempfile
import threading
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import NamedTuple

from docs.pages import ROOT
from support.hosting import DEADLINE, RunningHost, free_port, host_environ, wait_until
from support.terminal import Terminal
from support.wheels import make_wheel

_START = re.compile(r"func (host )?start\b")
_PORT = re.compile(r"(localhost:|127\.0\.0\.1:|--port )(\d+)")
_MOVING = re.compile(  # in what is shown: anything at all, or what differs from run to run
    r"(?P<anything>…)"
    r"|(?P<varies>\d{4}-\d\d-\d\dT[\d:.]+Z|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+\.\d+(?:\.\d+)?|\d+(?=ms\b)"
    r'|(?<="pid": )\d+)'
    r"|(?P<space>\s+)"
)
_PYTHON = """#!/bin/sh
# A virtual environment gets from the environment of the tests what it would get from the network.
case "$*" in "-m venv "*) set -- "$@" --without-pip ;; esac
"{python}" "$@" || exit
for folder in .venv/lib/python*/site-packages; do
    [ -d "$folder" ] && echo 'import site; site.addsitedir("{packages}")' > "$folder/tests.pth"
done
exit 0
"""
_PIP = """#!/bin/sh
# Nothing is installed: what a page names must be there, in the environment of the tests or beside the page.
[ "$1" = install ] && shift && set -- install --dry-run --no-index --no-build-isolation "$@"
exec "{python}" -m pip "$@"
"""


class Command(NamedTuple):
    """A command, and what a page shows as its output."""

    line: str
    output: str = ""


def commands(language: str, code: str) -> list[Command]:
    """The commands of a block: all lines of ``sh``; those behind a ``$`` of ``console``, where the rest is output."""
    if language == "sh":
        return [Command(line) for line in code.splitlines() if line.strip()]
    before, *found = re.split(r"^\$ ", code, flags=re.M)
    assert not before.strip(), f"output before any command: {before}"
    return [Command(line, output.strip()) for line, _, output in (one.partition("\n") for one in found)]


def output_pattern(shown: str) -> str:
    """What output may be that is shown as ``shown``: times, ids and measurements differ, ``…`` is anything."""
    pattern, end = "", 0
    for match in _MOVING.finditer(shown):
        moving = {"anything": r".*?", "varies": r"[\w.:-]+", "space": r"\s*"}[match.lastgroup or ""]
        pattern, end = pattern + re.escape(shown[end : match.start()]) + moving, match.end()
    return "(?s:" + pattern + re.escape(shown[end:]) + ")"


class Shell:
    """A shell in an empty folder, in which ``worker-ext`` is a clone of this repository.

    pip installs nothing and has no index: a requirement must be in the environment of the tests, or beside the page.
    Free ports stand for those that a page names.

    :param folder: where it begins.
    :ivar started: the folders of the apps that a host has served.
    """

    def __init__(self, folder: Path) -> None:
        self._private = tempfile.TemporaryDirectory(prefix="wx")  # a short path, for sockets
        private = Path(self._private.name)
        self._folder = folder
        self._state = private / "environment"
        self._console = private / "console"
        self._host: RunningHost | None = None
        self._ports: dict[str, str] = {}
        self.started: set[Path] = set()
        self._environ = host_environ(
            {
                "HOME": str(private),
                "PATH": os.pathsep.join([str(private / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
                "NO_PROXY": "localhost,127.0.0.1",
                "CONSOLE": str(self._console),
                **_wheels(private / "wheels"),
            }
        )
        del self._environ["WORKER_EXT_STATE"]  # it is where a page says: below the home folder
        for name, script in {"python3": _PYTHON, "pip": _PIP}.items():
            file = private / "bin" / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(script.format(python=sys.executable, packages=sysconfig.get_path("purelib")), "utf-8")
            file.chmod(0o755)
        (private / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n", "utf-8")  # as if at a terminal
        (folder / "worker-ext").symlink_to(ROOT)
        self._state.write_text(f"cd {shlex.quote(str(folder))}\n", "utf-8")

    def __enter__(self) -> Shell:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._private.cleanup()

    def run(self, command: Command) -> str:
        """Run a command, which must succeed and print what is shown; gives what it printed."""
        line, shown = self.with_free_ports(command.line), self.with_free_ports(command.output)
        if _START.match(line):
            return self._start(line, shown)
        if re.search(r"https?://localhost:", line) and self._host is None:  # it runs in the reader's other window
            self._start("func host start", "")
        if shown.endswith(":") and "\n" not in shown:
            return self._answer(line, shown)
        output = self._call(line, shown)
        assert not shown or re.fullmatch(output_pattern(shown), output.strip()), (
            f"{line}\nshould print\n{shown}\nbut printed\n{output}"
        )
        return output

    @property
    def where(self) -> Path:
        """The folder that the shell is in."""
        return Path(self._call("pwd", "").strip())

    def with_free_ports(self, text: str) -> str:
        """``text`` with ports that nobody else uses in place of those that a page names."""
        return _PORT.sub(lambda match: match[1] + self._ports.setdefault(match[2], str(free_port())), text)

    def stop(self) -> None:
        """Stop the host that a command has started, if any."""
        if self._host is None:
            return
        host, self._host = self._host, None
        try:
            status = host.stop()
        except subprocess.TimeoutExpired:
            host.process.kill()
            raise
        assert status == 0, host.console
        host.wait_for_nothing_left()

    def _call(self, line: str, shown: str) -> str:
        if self._host is not None:
            self._console.write_text(self._host.console, "utf-8")
        done = subprocess.run(
            ["bash", "-c", self._script(line)],
            env=self._environ,
            input="typed by the reader\n",
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=6 * DEADLINE,
        )
        tells_a_failure = line.startswith("curl ") and re.match(r"HTTP/1.1 [45]\d\d ", shown)
        expected = 22 if tells_a_failure else 0
        console = self._host.console if self._host is not None else ""
        assert done.returncode == expected, f"{line}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{console}"
        assert "does not provide the extra" not in done.stderr, f"{line}\n{done.stderr}"
        return done.stdout

    def _answer(self, line: str, question: str) -> str:
        """Run a command that asks at a terminal, and answer."""
        command = ["bash", "-c", self._script(line)]
        with Terminal(command, cwd=self._folder, environ=self._environ) as terminal:
            terminal.wait_for(question)
            terminal.type("typed by the reader\n")
            assert terminal.wait() == 0, terminal.shown
            return terminal.shown

    def _script(self, line: str) -> str:
        keep = "(export -p; printf 'cd %q\\n' \"$PWD\")"
        return f"{self._restore()}\n{line}\nstatus=$?\n{keep} >{self._state}\nexit $status"

    def _restore(self) -> str:
        """What makes a shell go on where the last one was, with what `pip install -e` would have installed since."""
        packages = os.pathsep.join([self._environ["PYTHONPATH"], *map(str, self._folder.glob("*/src"))])
        return f". {self._state}; export PYTHONPATH={shlex.quote(packages)}"

    def _start(self, line: str, shown: str) -> str:
        self.stop()
        if "--port" not in line:
            line = _START.sub(self.with_free_ports(r"\g<0> --port 7071"), line)
        match = re.search(r"--port (\d+)", line)
        assert match is not None
        self.started.add(self.where)
        mark = uuid.uuid4().hex
        process = subprocess.Popen(
            ["bash", "-c", f"{self._restore()}\nexec {line}"],
            env={**self._environ, "WORKER_EXT_TEST": mark, "TMPDIR": self._private.name},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
        )
        host = self._host = RunningHost(process, mark, Path(self._private.name), int(match[1]))
        threading.Thread(target=host.read_console, daemon=True).start()
        scheme = "https" if "--useHttps" in line else "http"
        wait_until(lambda: _serves(host, f"{scheme}://localhost:{host.port}"), line, timeout=3 * DEADLINE)
        addresses = re.findall(r"http://localhost:\d+/api/\S*", shown)
        if addresses:  # what is shown there follows a call, which somebody makes who has read the list
            host.wait_for("For detailed output")
        for address in addresses:
            with urllib.request.urlopen(address, timeout=DEADLINE) as answer:
                assert answer.status == 200
        wanted = re.compile(r"\s*" + output_pattern(shown))
        try:
            wait_until(lambda: wanted.match(host.console), f"{line} shows {shown}")
        except AssertionError as error:
            raise AssertionError(f"{error}\nit shows\n{host.console}") from None
        return host.console


def _serves(host: RunningHost, address: str) -> bool:
    """Whether a host has loaded its app, or keeps that to those who have a key."""
    assert host.process.poll() is None, host.console
    context = ssl._create_unverified_context() if address.startswith("https:") else None
    try:
        with urllib.request.urlopen(f"{address}/admin/host/status", timeout=DEADLINE, context=context) as answer:
            return bool(json.load(answer)["state"] == "Running")
    except urllib.error.HTTPError as error:
        error.close()
        return error.code == 401
    except OSError:
        return False


def _wheels(folder: Path) -> dict[str, str]:
    """Wheels that stand for what `func pack` would get from the network; the environment in which pip has them."""
    for name in ("azure-functions", "requests"):
        make_wheel(folder, name, {f"{name.replace('-', '_')}/__init__.py": ""})
    for version in ("311", "312"):
        tag = f"cp{version}-cp{version}-manylinux2014_aarch64"
        make_wheel(folder, "numpy", {"numpy/__init__.py": ""}, tag=tag)
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": os.devnull}
