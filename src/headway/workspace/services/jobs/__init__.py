"""Jobs and runs, at API versions 2.0, 2.1 and 2.2 at once."""
