"""``python -m worker_ext`` is the same as ``func``."""

import sys

from worker_ext.cli.main import main

# Guarded, because a process that is started with multiprocessing's "spawn" imports this module again.
if __name__ == "__main__":
    sys.exit(main())
