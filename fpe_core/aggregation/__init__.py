"""Pure functions on updates."""
