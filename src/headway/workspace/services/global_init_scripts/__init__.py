"""Init scripts of the workspace, which run before the driver of every cluster."""
