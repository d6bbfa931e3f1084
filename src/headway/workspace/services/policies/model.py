"""Definitions of cluster policies and what they make of a cluster's spec. Pure.

Source: Databricks, "Compute policy reference" (types of rules, paths, `cluster_type`, array attributes, isOptional).
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid, not_implemented

MOST_CHARACTERS = 100_000
ALL_PURPOSE, JOB = "all-purpose", "job"
# Below these, what follows the first dot is one key, whatever dots it has.
_MAPS = ("spark_conf", "spark_env_vars", "custom_tags")
_CLUSTER_TYPE = "cluster_type"
_NEEDS: Mapping[str, tuple[str, ...]] = {
    "fixed": ("value",),
    "forbidden": (),
    "allowlist": ("values",),
    "blocklist": ("values",),
    "regex": ("pattern",),
    "range": (),
    "unlimited": (),
}


@dataclass(frozen=True)
class Policy:
    """A policy. `definition` is the JSON text that was given; `most` are the clusters that a user may have with it."""

    policy_id: str
    name: str
    definition: str
    description: str
    most: int | None
    creator: str
    created_ms: int

    def to_json(self) -> dict[str, Any]:
        """As the API answers it."""
        data: dict[str, Any] = {
            "policy_id": self.policy_id,
            "name": self.name,
            "definition": self.definition,
            "creator_user_name": self.creator,
            "created_at_timestamp": self.created_ms,
            "is_default": False,
        }
        if self.description:
            data["description"] = self.description
        if self.most is not None:
            data["max_clusters_per_user"] = self.most
        return data


@dataclass(frozen=True)
class Rule:
    """What a policy says of the attribute at `path` (`autoscale.max_workers`, `init_scripts.*.volumes.destination`)."""

    path: str
    kind: str
    body: Mapping[str, Any]

    @property
    def optional(self) -> bool:
        """Whether a spec may do without the attribute."""
        return self.body.get("isOptional") is True


def rules(definition: object) -> list[Rule]:
    """The rules of a definition. Raise ApiError where it is none."""
    if not isinstance(definition, str):
        raise invalid("Missing required field: definition")
    if len(definition) > MOST_CHARACTERS:
        raise invalid(f"A policy definition has at most {MOST_CHARACTERS} characters")
    try:
        found = json.loads(definition)
    except (ValueError, RecursionError) as error:
        raise invalid(f"The policy definition is not JSON: {str(error)[:200]}") from None
    if not isinstance(found, dict):
        raise invalid("The policy definition must be a JSON object: attribute → rule")
    return [_rule(path, body) for path, body in found.items()]


def _rule(path: str, body: object) -> Rule:
    kind = str(body.get("type")) if isinstance(body, dict) else ""
    if not isinstance(body, dict) or kind not in _NEEDS:
        raise invalid(f"Policy rule {path[:100]}: type must be one of {', '.join(_NEEDS)}")
    if path.startswith("dbus_per_hour"):
        raise not_implemented("dbus_per_hour: this workspace has no prices, so no rule can hold them down")
    if not path or not all(path.split(".")):
        raise invalid(f"Policy rule {path[:100]!r} names no attribute")
    for name in _NEEDS[kind]:
        if name not in body:
            raise invalid(f"Policy rule {path[:100]}: missing required field: {name}")
    if "values" in _NEEDS[kind] and (not isinstance(body["values"], list) or not body["values"]):
        raise invalid(f"Policy rule {path[:100]}: values must be a list that is not empty")
    if kind == "regex":
        try:
            re.compile(str(body["pattern"]))
        except re.error as error:
            raise invalid(f"Policy rule {path[:100]}: the pattern is no regular expression: {error}") from None
    if kind == "range" and not any(_number(body.get(name)) is not None for name in ("minValue", "maxValue")):
        raise invalid(f"Policy rule {path[:100]}: a range needs a number minValue or maxValue")
    return Rule(path, kind, body)


def applied(found: Sequence[Rule], spec: Mapping[str, Any], cluster_type: str, *, defaults: bool) -> dict[str, Any]:
    """The spec with what the rules fix and, with `defaults`, with their default values where it has none. Raise
    ApiError where it breaks a rule, or lacks an attribute that one asks for."""
    result = copy.deepcopy(dict(spec))
    named = {rule.path for rule in found}
    for rule in found:
        if rule.path == _CLUSTER_TYPE:
            if rule.kind != "unlimited":
                _check(rule, _CLUSTER_TYPE, cluster_type)
            continue
        present = [
            (path, value)
            for path, value in _values(result, rule.path)
            if path == rule.path or not any(f"{other}.".startswith(f"{path}.") for other in named)
        ]
        if present:
            for path, value in present:
                _check(rule, path, value)
        elif rule.kind == "fixed" and not rule.optional:
            _put(result, rule.path, rule.body["value"])
        elif defaults and "defaultValue" in rule.body:
            _put(result, rule.path, rule.body["defaultValue"])
            _check(rule, rule.path, rule.body["defaultValue"])
        elif rule.kind not in ("fixed", "forbidden") and not rule.optional and "*" not in rule.path.split("."):
            raise _broken(rule.path, "the value must be present")
    return result


def _keys(path: str) -> list[str]:
    head, _, rest = path.partition(".")
    return [head, rest] if head in _MAPS and rest else path.split(".")


def _values(spec: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """The values at a path, each with its own; `*` stands for every element of a list."""
    places: list[tuple[str, Any]] = [("", spec)]
    for key in _keys(path):
        following: list[tuple[str, Any]] = []
        for at, value in places:
            if isinstance(value, list):
                chosen = range(len(value)) if key == "*" else [int(key)] if key.isdecimal() and len(key) < 6 else []
                following += [(f"{at}.{number}", value[number]) for number in chosen if number < len(value)]
            elif isinstance(value, dict) and value.get(key) is not None:
                following.append((f"{at}.{key}", value[key]))
        places = following
    yield from ((at.removeprefix("."), value) for at, value in places)


def _put(spec: dict[str, Any], path: str, value: Any) -> None:
    keys = _keys(path)
    if "*" in keys:
        return
    place: Any = spec
    for key, after in zip(keys, [*keys[1:], None], strict=True):
        new = value if after is None else [] if after.isdecimal() and keys[0] not in _MAPS else {}
        if isinstance(place, list):
            if not key.isdecimal() or int(key) > len(place):
                raise _broken(path, "the elements before it are missing")
            if int(key) == len(place):
                place.append(new)
            elif after is None:
                place[int(key)] = new
            place = place[int(key)]
        elif isinstance(place, dict):
            if after is None or place.get(key) is None:
                place[key] = new
            place = place[key]
        else:
            raise _broken(path, f"{key} cannot be set")


def _check(rule: Rule, path: str, value: Any) -> None:
    body = rule.body
    if rule.kind == "fixed" and not _same(value, body["value"]):
        raise _broken(path, f"the value must be {_told(body['value'])}; is {_told(value)}")
    if rule.kind == "forbidden":
        raise _broken(path, "the value must not be set")
    if rule.kind == "allowlist" and not any(_same(value, one) for one in body["values"]):
        raise _broken(path, f"the value must be one of {_told(body['values'])}; is {_told(value)}")
    if rule.kind == "blocklist" and any(_same(value, one) for one in body["values"]):
        raise _broken(path, f"the value must not be one of {_told(body['values'])}; is {_told(value)}")
    if rule.kind == "regex" and not re.fullmatch(str(body["pattern"]), _text(value)):
        raise _broken(path, f"the value must match {_told(body['pattern'])}; is {_told(value)}")
    if rule.kind == "range":
        number, least, most = _number(value), _number(body.get("minValue")), _number(body.get("maxValue"))
        if number is None:
            raise _broken(path, f"the value must be a number; is {_told(value)}")
        if (least is not None and number < least) or (most is not None and number > most):
            told = (("at least", least), ("at most", most))
            bounds = " and ".join(f"{word} {bound:g}" for word, bound in told if bound is not None)
            raise _broken(path, f"the value must be {bounds}; is {_told(value)}")


def _same(one: Any, other: Any) -> bool:
    """Numbers and truth values are written as text in some fields of a spec, and not in others."""
    return one == other or (not isinstance(one, dict | list) and _text(one) == _text(other))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)[:10_000]


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _told(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:500]


def _broken(path: str, why: str) -> ApiError:
    return invalid(f"Cluster validation error: Validation failed for {path[:200]}, {why}")
