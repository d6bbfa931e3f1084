"""Watch a run in a workspace until it has ended."""

from dataclasses import dataclass
from typing import Any

from headway.adapters.clock import Clock
from headway.adapters.databricks import Connection, translated

# A look costs the workspace a call: the longer a run takes, the rarer; never more than a thirtieth of its time is lost.
_SHORTEST, _LONGEST, _SHARE = 0.1, 10.0, 1 / 30
ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")


@dataclass(frozen=True)
class EndedRun:
    """How a run ended. `seconds` from its start to its end as the workspace tells; `raw` is `runs/get`'s answer."""

    run_id: int
    state: str
    message: str
    url: str
    seconds: float
    raw: dict[str, Any]

    @property
    def good(self) -> bool:
        """Whether it succeeded."""
        return self.state == "SUCCESS"


def watch(connection: Connection, run_id: int, clock: Clock, timeout_seconds: float) -> EndedRun:
    """Wait until it has ended. A run that takes longer is canceled and told as TIMEDOUT."""
    began = clock.now()
    while True:
        run = get_run(connection, run_id)
        if run["state"].get("life_cycle_state") in ENDED:
            return _ended(run)
        elapsed = (clock.now() - began).total_seconds()
        if elapsed > timeout_seconds:
            with translated(connection, f"jobs/runs/cancel {run_id}"):
                connection.client.jobs.cancel_run(run_id)
            ended = _ended(run)
            message = f"it did not end within {timeout_seconds / 60:g} min and was canceled"
            return EndedRun(run_id, "TIMEDOUT", message, ended.url, ended.seconds, run)
        clock.sleep(min(max(_SHORTEST, elapsed * _SHARE), _LONGEST))


def get_run(connection: Connection, run_id: int) -> dict[str, Any]:
    """`runs/get` as the workspace answers it."""
    with translated(connection, f"jobs/runs/get {run_id}"):
        found = connection.client.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
    return dict(found) if isinstance(found, dict) else {}


def _ended(run: dict[str, Any]) -> EndedRun:
    state = run["state"]
    seconds = max(0, (run.get("end_time") or 0) - (run.get("start_time") or 0)) / 1000
    return EndedRun(
        run["run_id"],
        state.get("result_state") or state["life_cycle_state"],
        state.get("state_message", ""),
        run.get("run_page_url", ""),
        seconds,
        run,
    )
