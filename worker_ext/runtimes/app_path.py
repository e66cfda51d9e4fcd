"""Where Python finds the modules of an app."""

from __future__ import annotations

import sys
from pathlib import Path


def make_importable(script_root: Path) -> None:
    """Have an app's own modules found, and the packages that were installed into its folder.

    The order is the stock worker's: those packages come first, and the app's own modules last, so that a function
    in a folder called ``queue`` or ``json`` hides no module of that name.

    :param script_root: the app's folder, absolute.
    """
    packages = script_root / ".python_packages" / "lib" / "site-packages"
    if packages.is_dir() and str(packages) not in sys.path:
        sys.path.insert(0, str(packages))
    if str(script_root) not in sys.path:
        sys.path.append(str(script_root))
