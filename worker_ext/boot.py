"""Starts a worker process: ``python boot.py ADDRESS KIND SCRIPT_ROOT``.

The app's Python need not have worker-ext installed, and the host's packages must not leak into the app. So this
script is run by its path and makes just the one package importable that it lies in.
"""

import importlib.util
import sys
from pathlib import Path


def _make_importable(folder: Path) -> None:
    name = folder.name
    init = folder / "__init__.py"
    spec = importlib.util.spec_from_file_location(name, init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def _main() -> None:
    if sys.version_info < (3, 11):
        version = ".".join(map(str, sys.version_info[:3]))
        raise SystemExit(f"worker-ext needs Python 3.11 or newer; the app's is {version} ({sys.executable})")
    folder = Path(__file__).resolve().parent
    sys.path = [entry for entry in sys.path if not entry or Path(entry).resolve() != folder]
    _make_importable(folder)
    try:
        importlib.util.find_spec("azure.functions")
    except ModuleNotFoundError:
        raise SystemExit(
            f"the package azure-functions is not installed for the app's Python, {sys.executable}\n"
            f"  {sys.executable} -m pip install -r requirements.txt"
        ) from None
    from worker_ext.runtimes.serve import main

    main(*sys.argv[1:4])


if __name__ == "__main__":
    _main()
