"""Libraries: the 1.2 API of the seed (workspace libraries, pulled by URL)."""
