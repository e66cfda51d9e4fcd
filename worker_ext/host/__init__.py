"""The local Functions host: configuration, routes, triggers, and the supervisor of the worker processes."""
