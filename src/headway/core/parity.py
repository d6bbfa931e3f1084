"""Whether one environment mirrors another: each difference of their jobs, and whether it is allowed. Pure.

Both are compared as one release would leave them, so that a release which is still on its way is no difference; what
was changed by hand stands as it stands.
"""

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from headway.core.application import Environment, JobDefinition, ParityAllowance, ParitySettings
from headway.core.fields import comparable, is_masked, left_to_the_server, redacted
from headway.core.plan import PERMISSIONS, TAG_ENVIRONMENT, Settings
from headway.core.references import found_in

Origin = Literal["declared", "definition", "hand", "missing"]
PRESENCE = "(the job)"


@dataclass(frozen=True)
class Side:
    """One environment. By job key: `wanted` as the release would leave them, `recorded` as the last deployment did,
    `observed` as they stand."""

    environment: Environment
    definitions: Mapping[str, JobDefinition]
    wanted: Mapping[str, Settings]
    recorded: Mapping[str, Settings]
    observed: Mapping[str, Settings]


@dataclass(frozen=True)
class Difference:
    """One field that differs. `why` is the reason of the rule that allows it, or of the declaration; empty where
    nothing does. `expired` names a rule that would have, but is over."""

    key: str
    path: str
    left: Any
    right: Any
    origin: Origin
    why: str = ""
    expired: str = ""

    @property
    def allowed(self) -> bool:
        """Whether it may be."""
        return bool(self.why)

    def to_json(self) -> dict[str, Any]:
        """For machines; secrets are left out."""
        shown = {"left": redacted(self.left, self.path), "right": redacted(self.right, self.path)}
        return {**asdict(self), **shown, "allowed": self.allowed}


@dataclass(frozen=True)
class Parity:
    """Two environments beside each other, `left` that which mirrors `right`."""

    app: str
    left: str
    right: str
    version: str | None
    jobs: int
    differences: tuple[Difference, ...]

    @property
    def refused(self) -> tuple[Difference, ...]:
        """The differences that nothing allows."""
        return tuple(found for found in self.differences if not found.allowed)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "differences": [found.to_json() for found in self.differences]}


def differences(left: Side, right: Side, rules: ParitySettings, today: datetime.date) -> tuple[Difference, ...]:
    """Every difference, in the order of jobs and paths."""
    found: list[Difference] = []
    for key in sorted({*left.wanted, *right.wanted}):
        here, there = _standing(left, key), _standing(right, key)
        if here is None or there is None:
            if (here is None) != (there is None):
                missing = Difference(key, PRESENCE, _presence(here), _presence(there), "missing")
                found.append(_judged(missing, rules, today))
            continue
        for path in sorted({*here, *there}):
            if here.get(path) != there.get(path) and not is_masked(here.get(path)) and not is_masked(there.get(path)):
                found.append(_judged(_difference(left, right, key, path, here, there), rules, today))
    return tuple(found)


def _presence(standing: Mapping[str, Any] | None) -> str:
    return "is not there" if standing is None else "is there"


def _standing(side: Side, key: str) -> dict[str, Any] | None:
    """A job's fields: as the release would leave them, those changed by hand as they stand. None: there is none."""
    wanted, observed, recorded = side.wanted.get(key), side.observed.get(key), side.recorded.get(key)
    if wanted is None or (recorded is not None and observed is None):  # not defined here, or deleted by hand
        return None
    fields = _mirrored(wanted, side.environment)
    for path, value in _by_hand(side, key).items():
        if value is None:
            fields.pop(path, None)
        else:
            fields[path] = value
    return fields


def _mirrored(settings: Settings, environment: Environment) -> dict[str, Any]:
    """Comparable fields, without what tells environments apart by design."""
    fields = comparable(settings)
    fields.pop(f"tags.{TAG_ENVIRONMENT}", None)
    if "name" in fields:
        fields["name"] = str(fields["name"]).removeprefix(environment.prefix)
    return fields


def _by_hand(side: Side, key: str) -> dict[str, Any]:
    """The fields that somebody changed since the last deployment, as they stand; None: somebody removed it."""
    observed, recorded = side.observed.get(key), side.recorded.get(key)
    if observed is None or recorded is None:
        return {}
    stands, was = (_mirrored(settings, side.environment) for settings in (observed, recorded))
    return {
        path: stands.get(path)
        for path in {*stands, *was}
        if stands.get(path) != was.get(path)
        and not is_masked(stands.get(path))
        and not (path not in was and left_to_the_server(path))
        and not _kept(path)
        and path != PERMISSIONS  # they are read where they are planned only
    }


def _kept(path: str) -> bool:
    """Whether it is paused is the operator's matter, in each environment."""
    return path.endswith(".pause_status")


def _difference(
    left: Side, right: Side, key: str, path: str, here: Mapping[str, Any], there: Mapping[str, Any]
) -> Difference:
    values = here.get(path), there.get(path)
    if path in _by_hand(left, key) or path in _by_hand(right, key):
        return Difference(key, path, *values, "hand")
    if _kept(path):
        return Difference(key, path, *values, "declared", "each environment says whether it is paused")
    raw = [_definition(side, key).get(path) for side in (left, right)]
    if raw[0] == raw[1] and any(_varies(found.name) for found in found_in(raw[0])):
        return Difference(key, path, *values, "declared", f"headway.toml gives {_names(raw[0])} a value for each")
    return Difference(key, path, *values, "definition")


def _definition(side: Side, key: str) -> dict[str, Any]:
    return comparable(side.definitions[key].settings) if key in side.definitions else {}


def _varies(name: str) -> bool:
    return name.startswith(("var.", "resources.", "environment."))


def _names(raw: Any) -> str:
    return ", ".join(dict.fromkeys(f"${{{found.name}}}" for found in found_in(raw) if _varies(found.name)))


def _judged(found: Difference, rules: ParitySettings, today: datetime.date) -> Difference:
    """The difference with the reason that allows it, if one does. A strict field needs a rule, whatever declares it."""
    strict = any(fnmatchcase(found.path, pattern) for pattern in rules.strict)
    declared = "" if strict else found.why
    matching = [rule for rule in rules.allow if _matches(rule, found)]
    live = next((rule for rule in matching if rule.until is None or today <= rule.until), None)
    over = "" if live or not matching else f"{matching[0].reason} (until {matching[0].until})"
    why = live.reason if live else declared
    return Difference(found.key, found.path, found.left, found.right, found.origin, why, over)


def _matches(rule: ParityAllowance, found: Difference) -> bool:
    return fnmatchcase(found.path, rule.field) and any(fnmatchcase(found.key, pattern) for pattern in rule.jobs)


def as_text(parity: Parity, *, every: bool = False) -> str:
    """For a terminal: what is refused; with `every` also what is allowed."""
    return "\n".join(_text(parity, every))


def _text(parity: Parity, every: bool) -> Iterator[str]:
    refused, allowed = parity.refused, len(parity.differences) - len(parity.refused)
    yield f"{parity.app}: {parity.left} against {parity.right}, {parity.jobs} jobs as {parity.version} leaves them"
    shown: Sequence[Difference] = parity.differences if every else refused
    for found in shown:
        sign = "=" if found.allowed else "≠"
        left, right = (redacted(value, found.path) for value in (found.left, found.right))
        yield f"  {sign} {found.key}  {found.path}: {_shown(left)} in {parity.left}, {_shown(right)} in {parity.right}"
        yield f"      {_note(found)}"
    if refused:
        yield f"{len(refused)} difference(s) that nothing allows, {allowed} allowed."
        yield "Make them the same, or allow them: [[parity.allow]] in headway.toml, with field, jobs and reason."
    else:
        yield f"parity: no difference that is not allowed ({allowed} allowed)"


def _note(found: Difference) -> str:
    if found.allowed:
        return f"allowed: {found.why}"
    if found.expired:
        return f"the rule that allowed it is over: {found.expired}"
    return {
        "hand": "somebody changed it by hand",
        "missing": "the job is in one of them only",
        "definition": "the environments' definitions differ",
        "declared": "headway.toml declares it, but parity.strict wants it equal",
    }[found.origin]


def _shown(value: Any) -> str:
    return "(not there)" if value is None else str(value)


def as_markdown(parity: Parity) -> str:
    """For an issue or a pull request."""
    head = f"### Parity of {parity.left} and {parity.right}: {len(parity.refused) or 'no'} difference(s) not allowed"
    rows = [head, ""]
    if parity.differences:
        rows += [f"| job | field | {parity.left} | {parity.right} | |", "| --- | --- | --- | --- | --- |"]
    for found in parity.differences:
        left, right = (redacted(value, found.path) for value in (found.left, found.right))
        cells = (found.key, found.path, _shown(left), _shown(right), _note(found))
        rows.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    for sign in "\\`*_[]|":
        text = text.replace(sign, "\\" + sign)
    return text.replace("<", "&lt;").replace("\n", " ")
