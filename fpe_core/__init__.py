"""What a model, a scan, a cohort and an update are. Knows neither Flower nor any transport."""

__version__ = "0.1.0"
