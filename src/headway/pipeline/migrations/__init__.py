"""Alembic migrations of the engine's database."""
