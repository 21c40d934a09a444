"""Geometry and file formats; the one place where axis order changes."""
