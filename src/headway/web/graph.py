"""A job's tasks as a graph: where each one and each arrow is drawn. Pure.

Tasks stand in columns by how many others come before them, so that every arrow goes from left to right.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 168, 46, 54, 18, 8
_LONGEST = 22


@dataclass(frozen=True)
class Node:
    """A task: its place and what it is called there."""

    key: str
    label: str
    x: int
    y: int


@dataclass(frozen=True)
class Graph:
    """The drawing. `edges` are SVG paths."""

    width: int
    height: int
    nodes: tuple[Node, ...]
    edges: tuple[str, ...]
    description: str


def graph_of(tasks: Sequence[Mapping[str, object]]) -> Graph:
    """The graph of tasks with `task_key` and `depends_on`, as the Jobs API has them. A circle or a task that is not
    there is drawn as if nothing came before."""
    before = {str(task["task_key"]): _before(task) for task in tasks}
    column: dict[str, int] = {}
    for key in before:
        _column(key, before, column, ())
    rows: dict[int, int] = {}
    places: dict[str, Node] = {}
    for key in before:
        x, row = column[key], rows.get(column[key], 0)
        rows[x] = row + 1
        label = key if len(key) <= _LONGEST else f"{key[: _LONGEST - 1]}…"
        places[key] = Node(key, label, MARGIN + x * (WIDTH + GAP_X), MARGIN + row * (HEIGHT + GAP_Y))
    edges = [_edge(places[first], places[key]) for key in before for first in before[key] if first in places]
    told = [f"{key} after {', '.join(before[key])}" if before[key] else f"{key} first" for key in before]
    return Graph(
        width=2 * MARGIN + (max(rows, default=-1) + 1) * (WIDTH + GAP_X) - (GAP_X if rows else 0),
        height=2 * MARGIN + max(rows.values(), default=0) * (HEIGHT + GAP_Y) - (GAP_Y if rows else 0),
        nodes=tuple(places.values()),
        edges=tuple(edges),
        description="; ".join(told),
    )


def _before(task: Mapping[str, object]) -> list[str]:
    given = task.get("depends_on")
    return [str(entry["task_key"]) for entry in given if "task_key" in entry] if isinstance(given, list) else []


def _column(key: str, before: Mapping[str, list[str]], column: dict[str, int], path: tuple[str, ...]) -> int:
    if key in column:
        return column[key]
    if key in path or key not in before:
        return -1
    column[key] = 1 + max((_column(first, before, column, (*path, key)) for first in before[key]), default=-1)
    return column[key]


def _edge(first: Node, then: Node) -> str:
    x1, y1 = first.x + WIDTH, first.y + HEIGHT // 2
    x2, y2 = then.x, then.y + HEIGHT // 2
    bend = max(20, (x2 - x1) // 2)
    return f"M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2 - 7} {y2}"
