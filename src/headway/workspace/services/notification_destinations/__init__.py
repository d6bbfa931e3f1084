"""Notification destinations: where jobs tell of their runs."""
