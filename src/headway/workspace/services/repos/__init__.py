"""Repos: clones of git repositories in the workspace tree, and the credentials they are fetched with."""
