"""Starts a worker process: ``python boot.py ADDRESS KIND SCRIPT_ROOT``, or ``python boot.py KIND`` for one on standby.
A Functions host starts it with options instead; ``worker.config.json`` beside this script tells it to. And
``python boot.py extensions KIND SCRIPT_ROOT`` only lists an app's extensions.

The app's Python need not have worker-ext installed, and the host's packages must not leak into the app. So this
script is run by its path and makes just the one package importable that it lies in. Pythons that are too old must
be able to parse it, so that their users can be told so.
"""

import gc
import importlib.util
import sys
from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def _make_importable(folder: Path) -> None:
    name, init = folder.name, folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _main() -> None:
    arguments = sys.argv[1:]
    if arguments[:1] == ["extensions"]:
        from worker_ext.runtimes.extension_list import main as list_extensions

        list_extensions(*arguments[1:3])

    gc.disable()  # what is imported from here on is there to stay; on again before the app's code is
    if not arguments or arguments[0].startswith("-"):
        from worker_ext.runtimes.azure.rpc.main import main as serve_functions_host

        serve_functions_host(arguments)

    from worker_ext.runtimes.serve import main, stand_by

    if len(arguments) == 1:
        stand_by(arguments[0])
    else:
        main(*arguments[:3])


if sys.version_info < (3, 11):  # noqa: UP036 - it is the app's Python, not the one that worker-ext was installed for
    raise SystemExit(
        "worker-ext needs Python 3.11 or newer, but the app's is {}.{}.{}: {}\n"
        "  Make a .venv in the app's folder with a newer one.".format(*sys.version_info[:3], sys.executable)
    )
# Python puts a script's folder on the path, where `errors`, `context`, ... would hide the app's modules.
sys.path = [entry for entry in sys.path if not entry or Path(entry).resolve() != _FOLDER]
# Not only when run: a process that the app spawns with `multiprocessing` imports this script before the app's modules.
_make_importable(_FOLDER)

if __name__ == "__main__":
    _main()
