"""Cluster policies: what a cluster may be, and what it is where nothing is said."""
