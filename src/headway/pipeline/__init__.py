"""The CI engine: what a commit sets off, durable. Triggers, runs, isolation, approvals, notifications, the server."""
