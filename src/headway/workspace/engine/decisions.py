"""What to do next in a run, and how it ended. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

FAILURES = frozenset({"FAILED", "TIMEDOUT", "UPSTREAM_FAILED", "INTERNAL_ERROR", "MAXIMUM_CONCURRENT_RUNS_REACHED"})
CANCELS = frozenset({"CANCELED", "UPSTREAM_CANCELED"})


@dataclass(frozen=True)
class Node:
    """A task in the graph of its run."""

    key: str
    depends_on: tuple[str, ...]
    run_if: str = "ALL_SUCCESS"


@dataclass(frozen=True)
class Decision:
    """`start` these tasks now; these others end without running, each with a result state."""

    start: tuple[str, ...]
    end: Mapping[str, str]


def decide(nodes: Sequence[Node], results: Mapping[str, str], started: frozenset[str] | set[str]) -> Decision:
    """What follows from the `results` (task key → result state) of the tasks that have ended."""
    start: list[str] = []
    end: dict[str, str] = {}
    for node in nodes:
        if node.key in results or node.key in started:
            continue
        upstream = [results.get(key) for key in node.depends_on]
        if any(result is None for result in upstream):
            continue
        verdict = without_running(node.run_if, [result for result in upstream if result is not None])
        if verdict is None:
            start.append(node.key)
        else:
            end[node.key] = verdict
    return Decision(tuple(start), end)


def without_running(run_if: str, upstream: Sequence[str]) -> str | None:
    """The result state of a task whose condition does not hold; None where it runs.

    An excluded upstream counts as neither failed nor run. Source: Databricks, "Configure task dependencies".
    """
    if not upstream:
        return None
    good = sum(result in ("SUCCESS", "SUCCESS_WITH_FAILURES") for result in upstream)
    failed = sum(result in FAILURES for result in upstream)
    canceled = sum(result in CANCELS for result in upstream)
    excluded = len(upstream) - good - failed - canceled
    holds = {
        "ALL_SUCCESS": failed + canceled == 0 and good > 0,
        "ALL_DONE": True,
        "NONE_FAILED": failed + canceled == 0 and excluded < len(upstream),
        "AT_LEAST_ONE_SUCCESS": good > 0,
        "ALL_FAILED": failed == len(upstream),
        "AT_LEAST_ONE_FAILED": failed > 0,
    }[run_if]
    if holds:
        return None
    if run_if == "ALL_SUCCESS" and failed:
        return "UPSTREAM_FAILED"
    if run_if == "ALL_SUCCESS" and canceled:
        return "UPSTREAM_CANCELED"
    return "EXCLUDED"


def run_result(nodes: Sequence[Node], results: Mapping[str, str]) -> str:
    """The result state of a run whose tasks have all ended: its leaves decide."""
    inner = {key for node in nodes for key in node.depends_on}
    leaves = [results[node.key] for node in nodes if node.key not in inner]
    if any(result == "CANCELED" for result in results.values()) and any(leaf in CANCELS for leaf in leaves):
        return "CANCELED"
    if any(leaf == "TIMEDOUT" for leaf in leaves):
        return "TIMEDOUT"
    if any(leaf in FAILURES or leaf in CANCELS for leaf in leaves):
        return "FAILED"
    bad = any(result in FAILURES for result in results.values())
    return "SUCCESS_WITH_FAILURES" if bad else "SUCCESS"


def retries_left(result: str, attempt: int, max_retries: int, retry_on_timeout: bool) -> bool:
    """Whether a task that ended so on this attempt (counted from 0) is tried again; `max_retries` -1 means for ever."""
    wanted = result == "FAILED" or (result == "TIMEDOUT" and retry_on_timeout)
    return wanted and (max_retries < 0 or attempt < max_retries)
