"""Azure Functions apps on the command line."""

from __future__ import annotations

from argparse import SUPPRESS, Action, ArgumentParser, Namespace, _ArgumentGroup
from pathlib import Path

from ..errors import ConfigurationError
from ..host.standby import Standby, standby_for


def add_arguments(parser: ArgumentParser | _ArgumentGroup) -> list[Action]:
    """Declare the options, as Azure's own tool names them."""
    return [
        parser.add_argument(
            "-p", "--port", type=_port, help="port to listen on (default: 7071, or Host.LocalHttpPort)"
        ),
        parser.add_argument("--address", default="localhost", help="address to listen on (default: loopback only)"),
        parser.add_argument(
            "--cors", default="", metavar="ORIGINS", help="origins of cross-origin requests, with commas"
        ),
        parser.add_argument("--cors-credentials", action="store_true", help="let cross-origin requests carry cookies"),
        parser.add_argument(
            "--enable-auth", "--enableAuth", action="store_true", help="ask for function and master keys"
        ),
        parser.add_argument("--use-https", "--useHttps", action="store_true", help="listen for https instead of http"),
        parser.add_argument("--cert", type=Path, metavar="FILE", help="certificate and key for https (PEM or PFX)"),
        parser.add_argument("--password", default="", metavar="TEXT", help="password of that key, or a file with it"),
        parser.add_argument(
            "-t",
            "--timeout",
            type=_positive,
            default=20.0,
            metavar="SECONDS",
            help="how long requests wait until the app is loaded",
        ),
        parser.add_argument(
            "--language-worker",
            "--language-worker-arguments",
            nargs="?",
            default="",
            metavar="ARGUMENTS",
            help='arguments for the app\'s Python, such as "-m debugpy --listen 5678"',
        ),
        parser.add_argument(
            "--enable-json-output", action="store_true", help="write JSON, an object a line, for programs"
        ),
        parser.add_argument(
            "--json-output-file",
            type=Path,
            metavar="FILE",
            help="with it: add the JSON to FILE; the console is for people",
        ),
        # Azure's tool takes them behind a double dash as well:  --language-worker -- "-m debugpy --listen 5678"
        parser.add_argument("rest", nargs="*", help=SUPPRESS),
    ]


def serve(arguments: Namespace) -> int:
    """Run an app until it is told to stop.

    :raises ConfigurationError: if it cannot start.
    """
    if arguments.rest and arguments.language_worker is not None:
        raise ConfigurationError(f"{arguments.rest[0]!r} belongs to no option", hint="See `func host start --help`.")
    standby = (
        None if arguments.language_worker or arguments.rest else standby_for("azure", arguments.script_root.resolve())
    )
    try:
        return _serve(arguments, standby)
    finally:
        if standby is not None:
            standby.discard()


def _serve(arguments: Namespace, standby: Standby | None) -> int:
    # Imported while the first worker starts up.
    from ..host.app import serve
    from ..host.app_settings import HostOptions

    return serve(
        HostOptions(
            script_root=arguments.script_root,
            port=arguments.port,
            address=arguments.address,
            cors=[origin for origin in arguments.cors.split(",") if origin],
            cors_credentials=arguments.cors_credentials,
            timeout=arguments.timeout,
            functions=arguments.functions,
            verbose=arguments.verbose,
            enable_auth=arguments.enable_auth,
            use_https=arguments.use_https,
            certificate=arguments.cert,
            password=arguments.password,
            language_worker=arguments.language_worker or " ".join(arguments.rest),
            json_output=arguments.enable_json_output or arguments.json_output_file is not None,
            json_output_file=arguments.json_output_file,
        ),
        standby,
    )


def call(arguments: Namespace) -> int:
    """Functions with a trigger of Azure's are called by it.

    :raises ConfigurationError: always.
    """
    raise ConfigurationError(
        f"{arguments.function} of this Azure Functions app is called by its trigger, not from the command line",
        hint="Start the host (func host start) and send it a request.",
    )


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError(text)
    return int(text)


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e9:
        raise ValueError(text)
    return number


_port.__name__, _positive.__name__ = "port", "number of seconds"  # argparse shows these in its errors
