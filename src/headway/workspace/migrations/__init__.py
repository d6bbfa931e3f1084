"""Alembic's environment for the workspace's database."""
