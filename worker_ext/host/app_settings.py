"""What the command line, the environment and the app's settings files together say about how an app is run."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import ConfigurationError
from ..runtimes.protocol import EVENTS_VARIABLE
from .interpreter import find_python
from .settings import HostJson, LocalSettings, load_host_json, load_local_settings
from .standby import UNBUFFERED

DEFAULT_PORT = 7071
PROCESS_COUNT = "FUNCTIONS_WORKER_PROCESS_COUNT"
ENVIRONMENT = "AZURE_FUNCTIONS_ENVIRONMENT"
RUNTIME = "FUNCTIONS_WORKER_RUNTIME"
NO_PAGE = "AzureWebJobsDisableHomepage"
ARGUMENTS = "languageWorkers__python__arguments"
"""Arguments for the app's Python; editors set it to start their debugger."""

_MOST_PROCESSES = 10
_IN_VALUES = "It is an environment variable, or stands in the Values of local.settings.json."


@dataclass(frozen=True)
class HostOptions:
    """The options of ``func host start``; ``None`` and nothing leave a choice to the settings.

    :ivar script_root: the app's folder.
    :ivar port: the port to listen on; 0 for any that is free.
    :ivar address: the address to listen on; loopback unless the user says otherwise.
    :ivar cors: origins of cross-origin requests.
    :ivar cors_credentials: whether these may carry cookies.
    :ivar timeout: seconds that requests wait for the app to be loaded.
    :ivar functions: names of the functions to serve; none means all.
    :ivar verbose: whether the console tells more.
    :ivar language_worker: arguments that go between the interpreter and the worker.
    :ivar enable_auth: whether functions and the admin API ask for keys.
    :ivar use_https: whether the host listens for https instead of http.
    :ivar certificate: the file with the certificate and its key; one is made if there is none.
    :ivar password: what the key in it is encrypted with.
    :ivar json_output: whether the console writes JSON.
    :ivar json_output_file: where the JSON goes, if not to the console.
    """

    script_root: Path
    port: int | None = None
    address: str = "localhost"
    cors: Sequence[str] = ()
    cors_credentials: bool = False
    timeout: float = 20.0
    functions: Sequence[str] = ()
    verbose: bool = False
    language_worker: str = ""
    enable_auth: bool = False
    use_https: bool = False
    certificate: Path | None = None
    password: str = field(default="", repr=False)
    json_output: bool = False
    json_output_file: Path | None = None

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "https" if self.use_https else "http"


@dataclass(frozen=True)
class AppSettings:
    """How an app is run, as its settings are now. Everything in here has been checked.

    :ivar host: ``host.json``.
    :ivar local: ``local.settings.json``.
    :ivar environ: the environment of the app's workers: ours, and what the settings add.
    :ivar skipped: the settings that the environment overrides.
    :ivar port: the port to listen on.
    :ivar python: the interpreter that runs the app.
    :ivar arguments: what goes between the interpreter and the worker's script.
    :ivar processes: how many workers run at a time.
    :ivar function_timeout: seconds that one invocation may take; ``None`` for no limit.
    :ivar functions: names of the functions to serve; none means all.
    :ivar development: whether clients are told what went wrong in a function.
    :ivar cors: origins of cross-origin requests.
    :ivar cors_credentials: whether these may carry cookies.
    :ivar homepage: whether the page is served.
    """

    host: HostJson
    local: LocalSettings
    environ: Mapping[str, str]
    skipped: Sequence[str]
    port: int
    python: str
    arguments: Sequence[str]
    processes: int
    function_timeout: float | None
    functions: Sequence[str]
    development: bool
    cors: Sequence[str]
    cors_credentials: bool
    homepage: bool = True

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences about the settings that people should read."""
        return (*self.local.warnings, *self.host.warnings)


def read_settings(options: HostOptions) -> AppSettings:
    """Read the app's settings.

    :raises ConfigurationError: if one is wrong, with the place.
    """
    root = options.script_root
    local = load_local_settings(root)
    environ, skipped = local.environment(os.environ)
    environ.setdefault(ENVIRONMENT, "Development")
    environ["AzureWebJobsScriptRoot"] = environ["FUNCTIONS_APPLICATION_DIRECTORY"] = str(root)
    environ.update(UNBUFFERED)
    if options.json_output:
        environ[EVENTS_VARIABLE] = "true"
    runtime = environ.setdefault(RUNTIME, "python")
    if runtime.lower() != "python":
        raise ConfigurationError(f"{RUNTIME} is {runtime!r}; this host runs Python functions", hint=_IN_VALUES)
    host = load_host_json(root, environ)
    cors, credentials = options.cors or local.cors, options.cors_credentials or local.cors_credentials
    if credentials and "*" in cors:
        raise ConfigurationError(
            "--cors-credentials cannot be combined with the origin *: browsers refuse that combination",
            hint="List the origins that may send credentials.",
        )
    return AppSettings(
        host=host,
        local=local,
        environ=environ,
        skipped=skipped,
        port=next(port for port in (options.port, local.http_port, DEFAULT_PORT) if port is not None),
        python=find_python(environ, root),
        arguments=_arguments(options.language_worker, environ),
        processes=_process_count(environ),
        function_timeout=host.function_timeout.total_seconds() if host.function_timeout is not None else None,
        functions=options.functions or host.functions,
        development=environ[ENVIRONMENT].lower() == "development",
        cors=cors,
        cors_credentials=credentials,
        homepage=environ.get(NO_PAGE, "").strip().lower() not in ("true", "1"),
    )


def _arguments(option: str, environ: Mapping[str, str]) -> list[str]:
    name, text = ("--language-worker", option) if option else (ARGUMENTS, environ.get(ARGUMENTS, ""))
    try:
        return shlex.split(text, posix=os.name == "posix")
    except ValueError as error:
        raise ConfigurationError(f"{name} cannot be split into arguments: {error}") from None


def _process_count(environ: Mapping[str, str]) -> int:
    text = environ.get(PROCESS_COUNT, "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_PROCESSES:
        raise ConfigurationError(f"{PROCESS_COUNT} is {text!r}; it can be 1 to {_MOST_PROCESSES}", hint=_IN_VALUES)
    return int(text)
