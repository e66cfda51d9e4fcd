"""How fast the local host is, beside others, measured in one interleaved run."""
