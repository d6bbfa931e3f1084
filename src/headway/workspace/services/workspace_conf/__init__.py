"""Settings of the workspace as a whole."""
