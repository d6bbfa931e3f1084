"""Permissions: who may do what with which object."""
