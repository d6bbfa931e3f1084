"""Cluster policies: what clusters may be made of, and what is filled in for whoever makes them."""
