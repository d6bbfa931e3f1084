"""A bundle's files as one tree, with the overrides of one target in it."""

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from headway.core.bundles.tree import Misfit, Node, merge, read_tree
from headway.core.diagnostics import Diagnostic, Location

SECTIONS = (
    "bundle", "include", "workspace", "artifacts", "resources", "targets", "environments", "sync", "permissions",
    "run_as", "presets", "variables", "experimental", "python", "scripts",
)  # fmt: skip
_MERGED = ("bundle", "workspace", "artifacts", "resources", "sync", "permissions", "presets")
_REPLACED = ("run_as",)
_INTO_BUNDLE = ("mode", "cluster_id")
_DEFINITION = {"default", "type", "description", "lookup"}


@dataclass(frozen=True)
class Assembled:
    """The tree of one target."""

    root: Node
    target: str


def includes(text: str, file: str) -> tuple[tuple[str, Location], ...]:
    """The patterns of the files that a bundle's main file includes; none where it cannot be read."""
    tree = read_tree(file, text)
    listed = tree.get("include") if isinstance(tree, Node) else None
    found = listed.elements() if listed is not None else ()
    return tuple((node.value, node.at) for node in found if isinstance(node.value, str))


def fits(pattern: str, name: str) -> bool:
    """Whether a file is meant by a pattern of `include`: `*` stands for a part of one name, and `**` is no more than
    that."""
    wanted, given = pattern.removeprefix("./").split("/"), name.split("/")
    return len(wanted) == len(given) and all(_part_fits(part, other) for part, other in zip(wanted, given, strict=True))


def _part_fits(pattern: str, name: str) -> bool:
    signs = {"*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*+|\?|\[[^\]]+\])", pattern)
    expression = "".join(
        signs.get(piece[:1], piece if piece.startswith("[") else re.escape(piece)) for piece in pieces if piece
    )
    return re.fullmatch(expression, name) is not None


def assemble(texts: Mapping[str, str], main: str, target: str) -> Assembled:
    """One tree of all files, with the target's overrides. Raise Misfit."""
    root = _read(main, texts)
    _known_sections(root)
    for pattern, at in includes(texts[main], main):
        names = sorted(name for name in texts if name != main and fits(pattern, name))
        if pattern.startswith(("/", "..")):
            raise Misfit(at, "include", f"{pattern} is outside of the bundle's folder")
        if not names and not any(sign in pattern for sign in "*?["):
            raise Misfit(at, "include", f"there is no file {pattern}")
        for name in names:
            part = _read(name, texts)
            _known_sections(part)
            _require_new(root, part)
            root = merge(root, Node({k: v for k, v in part.items() if k != "include"}, part.at))
    return Assembled(_with_target(root, main, target), target)


def _read(name: str, texts: Mapping[str, str]) -> Node:
    tree = read_tree(name, texts[name])
    if isinstance(tree, Diagnostic):
        raise Misfit(tree.location, tree.path, tree.message)
    if not isinstance(tree.value, Mapping):
        raise Misfit(tree.at, "", "expected a mapping (`bundle: …`)")
    return tree


def _known_sections(root: Node) -> None:
    for key, node in root.items():
        if key not in SECTIONS:
            close = difflib.get_close_matches(key, SECTIONS, 1)
            raise Misfit(
                node.at, key, "unknown key", f"did you mean {close[0]}?" if close else "see the bundle reference"
            )


def _resources(root: Node) -> Iterator[tuple[str, str, Node]]:
    resources = root.get("resources")
    for kind, entries in resources.items() if resources is not None else ():
        for key, node in entries.items():
            yield kind, key, node


def _require_new(root: Node, part: Node) -> None:
    there = {(kind, key): node for kind, key, node in _resources(root)}
    for kind, key, node in _resources(part):
        if (kind, key) in there:
            raise Misfit(node.at, f"resources.{kind}.{key}", f"is defined in {there[kind, key].at} as well")


def resources(root: Node) -> Iterator[tuple[str, str, Node]]:
    """Every resource: its kind, its key, what it is."""
    yield from _resources(root)


def _with_target(root: Node, main: str, name: str) -> Node:
    targets = root.get("targets") or root.get("environments")
    known = dict(targets.items()) if targets is not None else {}
    if name not in known:
        at = targets.at if targets is not None else Location(main)
        raise Misfit(at, "targets", f"there is no target {name}", f"there are: {', '.join(known) or 'none'}")
    target = known[name]
    for field in _MERGED:
        own, base = target.get(field), root.get(field)
        if own is not None:
            root = root.put(field, own if base is None else merge(base, own, field))
    for field in _REPLACED:
        own = target.get(field)
        if own is not None:
            root = root.put(field, own)
    bundle = root.get("bundle") or Node({}, root.at)
    for field in _INTO_BUNDLE:
        own = target.get(field)
        if own is not None:
            bundle = bundle.put(field, own)
    git = target.get("git")
    if git is not None:
        base = bundle.get("git")
        bundle = bundle.put("git", git if base is None else merge(base, git, "git"))
    bundle = bundle.put("target", Node(name, target.at)).put("environment", Node(name, target.at))
    return _with_variables(root.put("bundle", bundle), target, name)


def _with_variables(root: Node, target: Node, name: str) -> Node:
    """A target's value takes the place of a default or lookup."""
    variables = root.get("variables") or Node({}, root.at)
    own = target.get("variables")
    for key, given in own.items() if own is not None else ():
        defined = variables.get(key)
        if defined is None:
            known = _names(variables)
            raise Misfit(
                given.at, f"targets.{name}.variables.{key}", "no such variable is defined", f"there are: {known}"
            )
        full = isinstance(given.value, Mapping) and bool(given.value) and set(given.value) <= _DEFINITION
        override = given if full else Node({"default": given}, given.at)
        nothing = Node(None, given.at)
        definition = dict(defined.items())
        if override.get("default") is not None:
            definition |= {"default": override.get("default") or nothing, "lookup": nothing}
        if override.get("lookup") is not None:
            definition |= {"lookup": override.get("lookup") or nothing, "default": nothing}
        variables = variables.put(key, Node(definition, defined.at))
    return root.put("variables", variables)


def _names(node: Node) -> str:
    return ", ".join(key for key, _ in node.items()) or "none"
