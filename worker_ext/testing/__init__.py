"""What extension authors test with."""
