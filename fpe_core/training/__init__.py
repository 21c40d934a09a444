"""One local round as a function."""
