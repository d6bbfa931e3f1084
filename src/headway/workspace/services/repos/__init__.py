"""Repos: folders of the workspace tree that are checkouts of git remotes, and the credentials that fetch them."""
