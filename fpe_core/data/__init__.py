"""Cohorts: case table, labels, splits, datasets and phantoms."""
