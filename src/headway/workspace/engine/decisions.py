"""What to do next in a run, and how it ended. Pure.

Source: Databricks, "Configure task dependencies" (run_if, excluded tasks) and "How does Databricks determine job run
status?" (leaf tasks).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

GOOD = frozenset({"SUCCESS", "SUCCESS_WITH_FAILURES"})
FAILURES = frozenset({"FAILED", "TIMEDOUT", "UPSTREAM_FAILED", "INTERNAL_ERROR", "MAXIMUM_CONCURRENT_RUNS_REACHED"})
CANCELS = frozenset({"CANCELED", "UPSTREAM_CANCELED"})


@dataclass(frozen=True)
class Node:
    """A task in the graph of its run. `outcomes` are those that a condition task upstream must have had (`"true"`)."""

    key: str
    depends_on: tuple[str, ...]
    run_if: str = "ALL_SUCCESS"
    outcomes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """`start` these tasks now; these others end without running, each with a result state."""

    start: tuple[str, ...]
    end: Mapping[str, str]


class Graph:
    """The tasks of a run and which follow which, so that a step of a run of many tasks looks at few of them."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = {node.key: node for node in nodes}
        self._followers: dict[str, list[str]] = {}
        for node in nodes:
            for upstream in node.depends_on:
                self._followers.setdefault(upstream, []).append(node.key)

    def followers(self, keys: Iterable[str]) -> list[Node]:
        """The tasks that directly depend on one of `keys`, each once."""
        found = dict.fromkeys(name for key in keys for name in self._followers.get(key, ()))
        return [self.nodes[name] for name in found]

    def all_followers(self, keys: Iterable[str]) -> set[str]:
        """`keys` and every task that depends on them, directly or not."""
        found, todo = set(keys), list(keys)
        while todo:
            for name in self._followers.get(todo.pop(), ()):
                if name not in found:
                    found.add(name)
                    todo.append(name)
        return found


def decide(
    nodes: Sequence[Node],
    results: Mapping[str, str],
    started: frozenset[str] | set[str],
    outcomes: Mapping[str, str] | None = None,
) -> Decision:
    """What follows for `nodes` from the `results` (task key → result state) of the tasks that have ended, and from the
    `outcomes` of condition tasks."""
    start: list[str] = []
    end: dict[str, str] = {}
    for node in nodes:
        if node.key in results or node.key in started or any(key not in results for key in node.depends_on):
            continue
        verdict = without_running(node.run_if, [_seen(node, key, results, outcomes or {}) for key in node.depends_on])
        if verdict is None:
            start.append(node.key)
        else:
            end[node.key] = verdict
    return Decision(tuple(start), end)


def _seen(node: Node, key: str, results: Mapping[str, str], outcomes: Mapping[str, str]) -> str:
    """The result of a task as one that depends on it sees it: the wrong branch of a condition is excluded."""
    wanted = node.outcomes.get(key)
    if wanted is not None and results[key] == "SUCCESS" and outcomes.get(key) != wanted:
        return "EXCLUDED"
    return results[key]


def without_running(run_if: str, upstream: Sequence[str]) -> str | None:
    """The result state of a task whose condition does not hold; None where it runs.

    An excluded (or disabled) upstream task counts as neither failed nor run; where all are, the task is too.
    """
    if not upstream:
        return None
    good = sum(result in GOOD for result in upstream)
    failed = sum(result in FAILURES for result in upstream)
    canceled = sum(result in CANCELS for result in upstream)
    if good + failed + canceled == 0:
        return "EXCLUDED"
    holds = {
        "ALL_SUCCESS": failed + canceled == 0,
        "ALL_DONE": True,
        "NONE_FAILED": failed + canceled == 0,
        "AT_LEAST_ONE_SUCCESS": good > 0,
        "ALL_FAILED": failed + canceled == len(upstream),
        "AT_LEAST_ONE_FAILED": failed + canceled > 0,
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


def failed_keys(results: Mapping[str, str]) -> set[str]:
    """The tasks that a repair of all that failed runs again: those that failed, were stopped, or never ran for it."""
    return {key for key, result in results.items() if result in FAILURES or result in CANCELS}
