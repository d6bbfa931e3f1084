"""Command execution 1.2: contexts on clusters, and commands in them."""
