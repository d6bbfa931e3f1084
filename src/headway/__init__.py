"""Headway: continuous integration and delivery for Apache Spark applications."""

__version__ = "0.1.0"
