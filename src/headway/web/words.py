"""What states are called on pages, and how they look: `good`, `bad`, `busy`, `wait`, `off`. Pure."""

WORDS = {
    "waiting": "waiting",
    "making": "testing and building",
    "ready": "built, waits to be deployed",
    "delivering": "deploying",
    "awaiting_approval": "needs approval",
    "succeeded": "succeeded",
    "failed": "failed",
    "refused": "refused by a gate",
    "superseded": "superseded",
    "cancelled": "cancelled",
    "running": "running",
    "ok": "ok",
    "skipped": "skipped",
    "converged": "deployed",
    "rollback": "rolled back",
    "line": "commit",
    "pull_request": "pull request",
}
_TONES = {
    "good": ("succeeded", "ok", "success", "converged", "passed", "approved", "running cluster", "terminated ok"),
    "bad": ("failed", "refused", "timedout", "internal_error", "error", "rejected", "mixed", "upstream_failed"),
    "busy": (
        *("making", "delivering", "running", "pending", "resizing", "restarting", "terminating", "blocked"),
        "queued",
    ),
    "wait": ("awaiting_approval", "rollback", "drifted", "outdated", "maximum_concurrent_runs_reached"),
}
_TONE = {state: name for name, states in _TONES.items() for state in states}


def tone(state: object) -> str:
    """How a state looks."""
    return _TONE.get(str(state).lower(), "off")
