"""One folder per API; each has model.py (pure), store.py (persistence) and routes.py (HTTP)."""
