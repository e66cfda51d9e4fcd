"""Baetyl apps on the command line."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace, _ArgumentGroup
from pathlib import Path


def add_arguments(parser: ArgumentParser | _ArgumentGroup) -> list[Action]:
    """Declare the options."""
    return [
        parser.add_argument(
            "--hub", default="", metavar="ADDRESS", help="MQTT broker to use, such as tcp://localhost:1883"
        ),
        parser.add_argument("--hub-ca", type=Path, metavar="FILE", help="certificates that the broker is trusted by"),
        parser.add_argument("--hub-cert", type=Path, metavar="FILE", help="certificate to show to the broker"),
        parser.add_argument("--hub-key", type=Path, metavar="FILE", help="key of that certificate"),
        parser.add_argument(
            "--public", action="store_true", help="let the embedded hub listen where its settings say, not on loopback"
        ),
    ]


def serve(arguments: Namespace) -> int:
    """Run an app until it is told to stop.

    :raises ConfigurationError: if it cannot start.
    """
    from ..host.baetyl.host import BaetylOptions, serve

    return serve(
        BaetylOptions(
            script_root=arguments.script_root,
            hub=arguments.hub,
            hub_ca=arguments.hub_ca,
            hub_cert=arguments.hub_cert,
            hub_key=arguments.hub_key,
            public=arguments.public,
            functions=arguments.functions,
            verbose=arguments.verbose,
        )
    )


def call(arguments: Namespace) -> int:
    """Call a function once, without any hub."""
    from ..host.baetyl.single_call import call

    return call(arguments.script_root, arguments.function, arguments.payload, verbose=arguments.verbose)
