"""The systems that functions are written for. One folder each; none imports another."""
