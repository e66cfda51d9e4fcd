"""Settings that are either on or off."""

from __future__ import annotations

from collections.abc import Mapping

FLAG = "PYTHON_ENABLE_WORKER_EXTENSIONS"
"""The setting that turns extensions on."""


def is_on(setting: str, environ: Mapping[str, str]) -> bool:
    """Whether a setting is on, in the spellings that the stock worker accepts (1, true, t, yes, y; in any case)."""
    return environ.get(setting, "").strip().lower() in ("1", "true", "t", "yes", "y")
