"""Conversions beside the official SDK, other converters and the physical limits; see ``benchmarks.conversions.run``."""
