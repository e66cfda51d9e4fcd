"""The only way in which user code is run: on the event loop or a pool thread, with its hooks, logs and limits."""
