"""What the local host is compared with."""
