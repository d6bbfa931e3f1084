"""Clusters: what they can be made of, and those that runs had."""
