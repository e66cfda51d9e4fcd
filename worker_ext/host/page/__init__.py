"""The page at the host's root: functions, a form to run each, and what happens, live. Its files are in ``static/``."""
