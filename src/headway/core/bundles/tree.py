"""YAML as a tree that knows where each value stands, and merging as the Databricks CLI merges."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import yaml

from headway.core.diagnostics import Diagnostic, Location
from headway.core.sources import LOADER, require_shallow

Scalar = str | int | float | bool | None


@dataclass(frozen=True)
class Node:
    """A value and its place. Mappings and lists hold nodes."""

    value: "Mapping[str, Node] | Sequence[Node] | Scalar"
    at: Location

    def get(self, *path: str) -> "Node | None":
        """What stands below, by keys; None where there is nothing."""
        node: Node | None = self
        for key in path:
            if node is None or not isinstance(node.value, Mapping):
                return None
            node = node.value.get(key)
        return node

    def items(self) -> Iterator[tuple[str, "Node"]]:
        """The entries of a mapping; none where it is something else."""
        if isinstance(self.value, Mapping):
            yield from self.value.items()

    def elements(self) -> Sequence["Node"]:
        """The elements of a list; none where it is something else."""
        return self.value if isinstance(self.value, list) else ()

    def put(self, key: str, node: "Node") -> "Node":
        """A mapping with that entry."""
        return replace(self, value={**dict(self.items()), key: node})

    def plain(self) -> Any:
        """The value alone."""
        if isinstance(self.value, Mapping):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, Sequence) and not isinstance(self.value, str):
            return [node.plain() for node in self.elements()]
        return self.value

    def places(self, path: str = "") -> Iterator[tuple[str, Location]]:
        """Where everything below stands, by dotted path."""
        if path:
            yield path, self.at
        for key, node in self.items():
            yield from node.places(f"{path}.{key}" if path else key)
        for number, node in enumerate(self.elements()):
            yield from node.places(f"{path}.{number}" if path else str(number))


class Misfit(Exception):
    """Two values that cannot be merged, or a value that cannot be read. `diagnostic` says where."""

    def __init__(self, at: Location, path: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(at, path, message, hint)


def read_tree(file: str, text: str) -> Node | Diagnostic:
    """Parse YAML (plain data, anchors and `<<` included); a Diagnostic where that cannot be, or a key stands twice."""
    try:
        require_shallow(text)
        loader = LOADER(text)
        node = loader.get_single_node()
        if node is None:
            return Node({}, Location(file, 1))
        return _node(loader, node, file)
    except Misfit as misfit:
        return misfit.diagnostic
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        return Diagnostic(Location(file, line), "", f"not valid YAML: {error.problem or error.context}")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Diagnostic(Location(file), "", f"not valid YAML: {(str(error) or type(error).__name__).splitlines()[0]}")


def _node(loader: yaml.SafeLoader, node: yaml.Node, file: str) -> Node:
    at = Location(file, node.start_mark.line + 1)
    if isinstance(node, yaml.SequenceNode):
        return Node([_node(loader, entry, file) for entry in node.value], at)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen and key.value != "<<":
                place = Location(file, key.start_mark.line + 1)
                raise Misfit(place, "", f"the key {key.value} stands twice in one mapping")
            seen.add(str(key.value))
        loader.flatten_mapping(node)
        found: dict[str, Node] = {}
        for key, value in node.value:
            # A field is where its key is.
            found[str(key.value)] = replace(_node(loader, value, file), at=Location(file, key.start_mark.line + 1))
        return Node(found, at)
    return Node(_scalar(loader, node), at)


def _scalar(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    """As YAML 1.2 reads it: `on` and `no` are text, and so is a date."""
    kind = node.tag.rpartition(":")[2]
    if kind == "timestamp" or (kind == "bool" and node.value.lower() not in ("true", "false")):
        return node.value
    value = loader.construct_object(node)
    return value if value is None or isinstance(value, str | int | float | bool) else str(node.value)


def merge(first: Node, second: Node, path: str = "") -> Node:
    """Both: mappings key by key, lists one after the other, else what comes second; nothing never counts. Raise
    Misfit."""
    if first.value is None:
        return second
    if second.value is None:
        return first
    if isinstance(first.value, Mapping) and isinstance(second.value, Mapping):
        merged = dict(first.value)
        for key, node in second.value.items():
            merged[key] = merge(merged[key], node, f"{path}.{key}" if path else key) if key in merged else node
        return Node(merged, first.at)
    if _is_list(first) and _is_list(second):
        return Node([*first.elements(), *second.elements()], first.at)
    if isinstance(first.value, Mapping) or isinstance(second.value, Mapping) or _is_list(first) or _is_list(second):
        raise Misfit(
            second.at, path, f"does not fit what stands in {first.at}: one is a {_kind(first)}, one a {_kind(second)}"
        )
    return second


def _is_list(node: Node) -> bool:
    return isinstance(node.value, Sequence) and not isinstance(node.value, str)


def _kind(node: Node) -> str:
    if isinstance(node.value, Mapping):
        return "mapping"
    return "list" if _is_list(node) else "single value"


def merge_named(holder: Node, field: str, by: str) -> Node:
    """A mapping whose list `field` has one element for each name `by`: those of one name are merged, in order."""
    listed = holder.get(field)
    if listed is None or not _is_list(listed):
        return holder
    found: dict[Any, Node] = {}
    for number, element in enumerate(listed.elements()):
        name = element.get(by)
        key = name.value if name is not None and isinstance(name.value, str) else ("", number)
        found[key] = merge(found[key], element, f"{field}.{number}") if key in found else element
    return holder.put(field, Node(list(found.values()), listed.at))
