"""Build, publish, plan, apply, verify, promote, roll back: the line, against any workspace."""
