"""Where the host keeps what belongs to one app and must outlive a restart: keys, certificates, what triggers have done.

Not in the app's own folder, which is copied, put under version control and deployed.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "WORKER_EXT_STATE"
"""The environment variable that names another folder for the state of all apps."""


def state_folder(script_root: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder for the state of one app; it may not exist yet, and should be made with mode 0700.

    :param script_root: the app's folder. Apps in different folders share nothing.
    """
    root = script_root.resolve()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", root.name)[:40]
    return state_of_user(environ) / f"{name}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"


def state_of_user(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that holds the state of all apps of this user."""
    if named := environ.get(VARIABLE):
        return Path(named)
    from platformdirs import user_state_path

    return user_state_path("worker-ext", appauthor=False)
