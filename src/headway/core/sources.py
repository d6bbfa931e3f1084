"""TOML and YAML with the line of every field, so that an error can say where it is."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from headway.core.diagnostics import Diagnostic, Location

# libyaml's, where PyYAML was built with it: files of a thousand jobs take a second instead of ten.
LOADER: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_DEEPEST = 200
_TABLE = re.compile(r"^\s*(\[\[?)\s*([^\[\]#]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=(.*)$"""
)


@dataclass(frozen=True)
class Source:
    """A parsed file. `data` is what it holds, `lines` the line (from 1) of each dotted path."""

    file: str
    data: Mapping[str, Any]
    lines: Mapping[str, int]

    def at(self, path: str) -> Location:
        """Where a field is, or the nearest one around it."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return Location(self.file, self.lines.get(path))


def read_toml(file: str, text: str) -> Source | Diagnostic:
    """Parse TOML; a Diagnostic where it is not TOML."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        message = re.sub(r" \(at .*\)$", "", str(error))
        return Diagnostic(Location(file, int(found.group(1)) if found else None), "", f"not valid TOML: {message}")
    return Source(file, data, _toml_lines(text))


def _toml_lines(text: str) -> dict[str, int]:
    """The line of each key and table, by dotted path; elements of arrays of tables by their number from 0."""
    lines: dict[str, int] = {}
    counts: dict[str, int] = {}
    prefix, open_until, depth = "", "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if open_until:
            open_until = "" if open_until in line else open_until
            continue
        if depth > 0:
            depth += _brackets(line)
            continue
        table = _TABLE.match(line)
        if table:
            name = ".".join(_parts(table.group(2)))
            prefix = _indexed(name, counts)
            if table.group(1) == "[[":
                counts[prefix] = counts.get(prefix, -1) + 1
                prefix = f"{prefix}.{counts[prefix]}"
            lines.setdefault(prefix, number)
            continue
        key = _KEY.match(line)
        if key:
            path = ".".join(([prefix] if prefix else []) + _parts(key.group(1)))
            lines[path] = number
            value = key.group(2)
            for quotes in ('"""', "'''"):
                if value.count(quotes) == 1:
                    open_until = quotes
            depth = 0 if open_until else max(0, _brackets(value))
    return lines


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in re.split(r"\.(?=(?:[^\"']|\"[^\"]*\"|'[^']*')*$)", name)]


def _indexed(name: str, counts: Mapping[str, int]) -> str:
    """`a.b` with the numbers of the arrays of tables in it: `[x.y]` after `[[x]]` is `x.0.y`."""
    path = ""
    parts = name.split(".")
    for position, part in enumerate(parts):
        path = f"{path}.{part}" if path else part
        if path in counts and position < len(parts) - 1:
            path = f"{path}.{counts[path]}"
    return path


def _brackets(text: str) -> int:
    plain = re.sub(r"\"(?:\\.|[^\"\\])*\"|'[^']*'", "", text).partition("#")[0]
    return sum(plain.count(sign) for sign in "[{") - sum(plain.count(sign) for sign in "]}")


def read_yaml(file: str, text: str) -> Source | Diagnostic:
    """Parse YAML (safely: plain data only); a Diagnostic where it is not a mapping, or a key stands twice."""
    try:
        require_shallow(text)
        loader = LOADER(text)
        node = loader.get_single_node()
        if node is None:
            return Source(file, {}, {})
        twice = next(_duplicates(node), None)
        if twice is not None:
            key, line = twice
            return Diagnostic(Location(file, line), "", f"the key {key} stands twice in one mapping")
        lines = dict(_yaml_lines(node, ""))  # before the data is made, which rewrites the nodes of `<<`
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line_number = mark.line + 1 if mark else None
        return Diagnostic(Location(file, line_number), "", f"not valid YAML: {error.problem or error.context}")
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        return Diagnostic(Location(file), "", f"not valid YAML: {str(error).splitlines()[0]}")
    if not isinstance(data, dict):
        return Diagnostic(Location(file, 1), "", "expected a mapping (`resources: …`)")
    return Source(file, data, lines)


def require_shallow(text: str) -> None:
    """Raise ValueError where YAML is nested deeper than anybody writes: libyaml's own recursion has no end to it."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise ValueError(f"nested deeper than {_DEEPEST} levels")


def _yaml_lines(node: yaml.Node, path: str) -> Iterator[tuple[str, int]]:
    if path:
        yield path, node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}" if path else str(key.value)
            yield from _yaml_lines(value, name)
            yield name, key.start_mark.line + 1
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            yield from _yaml_lines(value, f"{path}.{number}")


def _duplicates(node: yaml.Node) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen and key.value != "<<":
                    yield key.value, key.start_mark.line + 1
                seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)
