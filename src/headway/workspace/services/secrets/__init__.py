"""Secrets: scopes, values encrypted at rest, who may read them."""
