"""worker-ext: extensions around every call of a serverless Python function, and the workers that run them."""

from __future__ import annotations

__version__ = "0.1.0"
