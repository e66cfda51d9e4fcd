"""What starts functions besides HTTP: one module for each kind of trigger."""
