"""Bytes in, bytes out: the wires that invocations arrive on. Nothing here knows what a function is."""
