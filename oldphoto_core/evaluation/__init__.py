"""Measuring restorations: figures, a second damage generator, classical baselines, and the held-out protocol."""

GENERATOR_VERSION = 6
"""Raised whenever a generator draws other pictures from the same seed, so that cached sets are made again."""
