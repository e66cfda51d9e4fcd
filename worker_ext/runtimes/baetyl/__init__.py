"""Baetyl: handlers of an event and a context, several in a process, with their packages unpacked beside them."""
