"""The same studies on one machine."""
