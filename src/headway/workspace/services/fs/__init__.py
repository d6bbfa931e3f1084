"""The Files API: files and directories of volumes."""
