"""The workspace API 2.0: notebooks, files and folders, kept as plain files."""
