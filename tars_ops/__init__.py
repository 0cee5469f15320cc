"""Watches a software release for a week after GA and says whether to keep it."""

__version__ = "0.1.0"
