"""DBFS 2.0: files below `dbfs:/`, kept as plain files."""
