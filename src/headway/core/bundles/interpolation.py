"""`${…}` of a bundle: what can be known when it is read becomes its value, what only a deploy knows our reference."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.core.bundles.tree import Misfit, Node
from headway.core.diagnostics import Location
from headway.core.references import escaped

_PART = r"[^\W\d_]+(?:[-_]*[^\W_]+)*"
REFERENCE = re.compile(rf"\$\{{({_PART}(?:\.{_PART}(?:\[[0-9]+\])*)*(?:\[[0-9]+\])*)\}}")
_READ = ("bundle", "workspace", "variables", "var", "resources", "artifacts")
# What stands in a workspace below its root, unless the bundle says otherwise.
_BELOW_ROOT = {"file_path": "files", "artifact_path": "artifacts", "state_path": "state", "resource_path": "resources"}


@dataclass(frozen=True)
class Known:
    """What references mean: the tree, the values given from outside (they count before all defaults), the user whom the
    workspace would see, the branch that is delivered."""

    root: Node
    values: Mapping[str, Any]
    user: str | None
    branch: str
    host: str


@dataclass(frozen=True)
class Ours:
    """A reference that only a deploy knows the value of."""

    name: str


class Interpolation:
    """Replaces references in nodes. Strings that come out are in our own form: `${…}` is ours, `$${` a plain `${`."""

    def __init__(self, known: Known) -> None:
        self._known = known

    def node(self, node: Node, path: str, around: tuple[str, ...] = ()) -> Node:
        """The same node, with every reference in it replaced. Raise Misfit."""
        if isinstance(node.value, Mapping):
            found = {key: self.node(entry, f"{path}.{key}", around) for key, entry in node.value.items()}
            return Node(found, node.at)
        if isinstance(node.value, str):
            return self._text(node, node.value, path, around)
        if isinstance(node.value, Sequence):
            entries = [self.node(entry, f"{path}.{number}", around) for number, entry in enumerate(node.elements())]
            return Node(entries, node.at)
        return node

    def _text(self, node: Node, text: str, path: str, around: tuple[str, ...]) -> Node:
        whole = REFERENCE.fullmatch(text)
        if whole and whole.group(1).split(".")[0] in _READ:
            return replace(self._value(whole.group(1), node.at, path, around), at=node.at)
        pieces, last = [], 0
        for match in REFERENCE.finditer(text):
            if match.group(1).split(".")[0] not in _READ:
                continue
            pieces.append(escaped(text[last : match.start()]))
            value = self._value(match.group(1), node.at, path, around).plain()
            if isinstance(value, dict | list):
                raise Misfit(node.at, path, f"${{{match.group(1)}}} is no single value, and stands within a text")
            pieces.append(_written(value))
            last = match.end()
        return Node("".join([*pieces, escaped(text[last:])]), node.at)

    def _value(self, name: str, at: Location, path: str, around: tuple[str, ...]) -> Node:
        if name in around:
            circle = " → ".join([*around[around.index(name) :], name])
            raise Misfit(at, path, f"references go round in a circle: {circle}")
        parts = re.sub(r"\[(\d+)\]", r".\1", name).split(".")
        found = self._found(parts, name, at, path)
        if isinstance(found, Ours):
            return Node(f"${{{found.name}}}", at)
        return self.node(found, path, (*around, name))

    def _found(self, parts: list[str], name: str, at: Location, path: str) -> "Node | Ours":
        match parts:
            case ["var", variable, *below] | ["variables", variable, "value", *below]:
                return _below(self._variable(variable, at, path), below, name, at, path)
            case ["bundle", "git", "commit"]:
                return Ours("release.commit")
            case ["bundle", "git", "branch"]:
                return self._known.root.get(*parts) or Node(self._known.branch, at)
            case ["workspace", "current_user", field]:
                return self._user(field, name, at, path)
            case ["workspace", "host"]:
                return Node(self._known.host, at)
            case ["workspace", field]:
                return self._workspace(field, name, at, path)
            case ["resources", "jobs", key, "id"]:
                if self._known.root.get("resources", "jobs", key) is None:
                    raise Misfit(at, path, f"${{{name}}}: there is no job {key}")
                return Ours(f"resources.jobs.{key}.id")
            case ["resources", kind, _, "id"]:
                hint = "put its id into a variable, and give that to the environment's `values`"
                raise Misfit(at, path, f"${{{name}}}: {kind} are not deployed by Headway", hint)
            case ["artifacts", *_]:
                raise Misfit(at, path, f"${{{name}}}: artifacts are those of headway.toml", "see docs/adopting.md")
        return _below(self._known.root, parts, name, at, path)

    def _variable(self, variable: str, at: Location, path: str) -> Node:
        defined = self._known.root.get("variables", variable)
        if defined is None:
            variables = self._known.root.get("variables")
            there = ", ".join(key for key, _ in variables.items()) if variables is not None else ""
            raise Misfit(at, path, f"${{var.{variable}}}: no such variable is defined", f"there are: {there or 'none'}")
        if variable in self._known.values:
            return _given(self._known.values[variable], defined.at)
        lookup = defined.get("lookup")
        hint = f"give {variable} to the environment's `values` in headway.toml"
        if lookup is not None and lookup.value is not None:
            what = f"the variable {variable} looks something up in the workspace, which is not done when files are read"
            raise Misfit(lookup.at, f"variables.{variable}.lookup", what, hint)
        default = defined.get("default")
        if default is None or (default.value is None):
            raise Misfit(defined.at, f"variables.{variable}", "has no value, and no default", hint)
        return default

    def _user(self, field: str, name: str, at: Location, path: str) -> Node:
        user = self._known.user
        if user is None:
            hint = "set bundle_user of the environment in headway.toml to whom deploys there"
            raise Misfit(at, path, f"${{{name}}}: who that is, is not known when files are read", hint)
        if field not in ("userName", "short_name", "displayName", "domain_friendly_name"):
            raise Misfit(at, path, f"${{{name}}}: of the user, userName and short_name are known")
        short = short_name(user)
        return Node({"short_name": short, "domain_friendly_name": short.replace("_", "-")}.get(field, user), at)

    def _workspace(self, field: str, name: str, at: Location, path: str) -> Node:
        given = self._known.root.get("workspace", field)
        if given is not None:
            value = self.node(given, path, (name,)).value
        elif field == "root_path":
            value = self.node(Node("~/.bundle/${bundle.name}/${bundle.target}", at), path, (name,)).value
        elif field in _BELOW_ROOT:
            root = self._workspace("root_path", "workspace.root_path", at, path)
            value = f"{root.value}/{_BELOW_ROOT[field]}"
        else:
            raise Misfit(at, path, f"${{{name}}}: the bundle's workspace has no {field}")
        text = str(value)
        if text.startswith("~/"):
            user = self._user("userName", f"{name}, which begins with ~", at, path).value
            text = f"/Workspace/Users/{user}/{text[2:]}"
        elif text.startswith(("/Users/", "/Shared/")):
            text = f"/Workspace{text}"
        return Node(text, at)

    def file_path(self) -> str | None:
        """Where the CLI would put the bundle's files; None where that cannot be told."""
        try:
            return str(self._workspace("file_path", "workspace.file_path", self._known.root.at, "workspace").value)
        except Misfit:
            return None


def short_name(user: str) -> str:
    """A user's name as part of other names: letters, digits, underscores of what stands before the @."""
    return re.sub(r"[^\w]+", "_", user.partition("@")[0])


def _written(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _given(value: Any, at: Location) -> Node:
    if isinstance(value, Mapping):
        return Node({str(key): _given(entry, at) for key, entry in value.items()}, at)
    if isinstance(value, list):
        return Node([_given(entry, at) for entry in value], at)
    return Node(value, at)


def _below(node: Node, parts: Sequence[str], name: str, at: Location, path: str) -> Node:
    """What stands at a path below a node, through mappings and lists. Raise Misfit."""
    found: Node | None = node
    for part in parts:
        if found is None:
            break
        if isinstance(found.value, Mapping):
            found = found.get(part)
        else:
            entries = found.elements()
            found = entries[int(part)] if part.isdigit() and int(part) < len(entries) else None
    if found is None:
        raise Misfit(at, path, f"${{{name}}} means nothing here")
    return found
