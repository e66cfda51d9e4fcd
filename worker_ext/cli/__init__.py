"""The command line: :mod:`~worker_ext.cli.main` finds the verb, one module a verb does the work."""
