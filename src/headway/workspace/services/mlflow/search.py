"""MLflow's search language: `metrics.rmse < 1 and params.model = "tree" and tags.team = 'x'`. Pure.

Source: MLflow documentation, "Search Runs" and "Search Experiments".
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headway.workspace.errors import invalid
from headway.workspace.services.mlflow.logged_models import LoggedModel
from headway.workspace.services.mlflow.model import Experiment, TrackedRun

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'[^']*'|"[^"]*")|(?P<number>-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"""
    r"""|(?P<op>!=|<=|>=|=|<|>|\(|\)|,)|(?P<word>(?:[\w./-]|`[^`]*`|\."[^"]*")+))"""
)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "LIKE": lambda a, b: _like(a, b, False),
    "ILIKE": lambda a, b: _like(a, b, True),
    "IN": lambda a, b: a in b,
    "NOT IN": lambda a, b: a not in b,
}
_KINDS = {
    "metrics": "metric", "metric": "metric", "params": "param", "param": "param", "parameters": "param",
    "parameter": "param", "tags": "tag", "tag": "tag", "attributes": "attribute", "attribute": "attribute",
    "attr": "attribute", "run": "attribute",
}  # fmt: skip
_ATTRIBUTES = {"Created": "start_time", "created": "start_time", "run name": "run_name", "Run name": "run_name"}


@dataclass(frozen=True)
class Condition:
    """One comparison; `kind` is metric, param, tag or attribute."""

    kind: str
    key: str
    operator: str
    value: Any


def parse_filter(text: str) -> list[Condition]:
    """The conditions, all of which must hold. Raise ApiError naming what cannot be read."""
    tokens = _tokens(text)
    found: list[Condition] = []
    position = 0
    while position < len(tokens):
        if found:
            if tokens[position][1].upper() != "AND":
                raise invalid(f"Invalid filter string '{text}': expected AND, found {tokens[position][1]}")
            position += 1
        condition, position = _condition(tokens, position, text)
        found.append(condition)
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise invalid(f"Invalid filter string '{text}': cannot read {text[position : position + 20]!r}")
        kind = str(match.lastgroup)
        found.append((kind, match.group(kind)))
        position = match.end()
    return found


def _condition(tokens: Sequence[tuple[str, str]], at: int, text: str) -> tuple[Condition, int]:
    try:
        (kind, word), at = tokens[at], at + 1
        if kind != "word":
            raise invalid(f"Invalid filter string '{text}': {word} is not a field")
        entity, key = _field(word)
        operator, at = tokens[at][1].upper(), at + 1
        if operator == "NOT":
            operator, at = "NOT " + tokens[at][1].upper(), at + 1
        if operator not in _COMPARE:
            raise invalid(f"Invalid filter string '{text}': {operator} is not an operator")
        if operator.endswith("IN"):
            values, at = _list(tokens, at, text)
            return Condition(entity, key, operator, values), at
        return Condition(entity, key, operator, _value(tokens[at])), at + 1
    except IndexError:
        raise invalid(f"Invalid filter string '{text}': it ends in the middle of a comparison") from None


def _list(tokens: Sequence[tuple[str, str]], at: int, text: str) -> tuple[tuple[Any, ...], int]:
    if tokens[at][1] != "(":
        raise invalid(f"Invalid filter string '{text}': IN wants a list in parentheses")
    values = []
    while tokens[at][1] != ")":
        values.append(_value(tokens[at + 1]))
        at += 2
        if tokens[at][1] not in (",", ")"):
            raise invalid(f"Invalid filter string '{text}': expected , or ) in the list")
    return tuple(values), at + 1


def _field(word: str) -> tuple[str, str]:
    head, dot, rest = word.partition(".")
    if not dot:
        return "attribute", word
    kind = _KINDS.get(head)
    if kind is None:
        raise invalid(f"Invalid entity type '{head}'. Valid: metric, parameter, tag, attribute")
    return kind, rest.strip("`\"'")


def _value(token: tuple[str, str]) -> Any:
    kind, text = token
    if kind == "text":
        return text[1:-1]
    if kind == "number":
        return float(text)
    raise invalid(f"Invalid value {text}: text stands in quotes")


def _like(value: Any, pattern: Any, fold: bool) -> bool:
    """SQL's LIKE: `%` stands for any text, `_` for any character."""
    shape = "".join({"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in str(pattern))
    return re.fullmatch(shape, str(value), re.DOTALL | (re.IGNORECASE if fold else 0)) is not None


def matches_run(run: TrackedRun, conditions: Sequence[Condition]) -> bool:
    """Whether all hold for a run; an absent key holds for none."""
    return all(_holds(_of_run(run, condition.kind, condition.key), condition) for condition in conditions)


def matches_experiment(experiment: Experiment, conditions: Sequence[Condition]) -> bool:
    """Whether all hold for an experiment."""
    return all(_holds(_of_experiment(experiment, condition), condition) for condition in conditions)


def matches_model(logged: LoggedModel, conditions: Sequence[Condition]) -> bool:
    """Whether all hold for a logged model; an absent key holds for none."""
    return all(_holds(of_model(logged, condition.kind, condition.key), condition) for condition in conditions)


def on_datasets(logged: LoggedModel, wanted: Sequence[tuple[str, Any]]) -> LoggedModel:
    """The model with only those metrics that were measured on one of the data sets (name, and digest where it is not
    None); with all where none is named."""
    if not wanted:
        return logged
    kept = [
        found
        for found in logged.metrics
        if any(found.dataset_name == name and digest in (None, found.dataset_digest) for name, digest in wanted)
    ]
    return replace(logged, metrics=kept)


def of_model(logged: LoggedModel, kind: str, key: str) -> Any:
    """What a model has under a key of a kind (metric, param, tag, attribute); None where it has nothing there.

    Raise ApiError where there is no such attribute."""
    if kind == "metric":
        values = [found.value for found in logged.metrics if found.key == key]
        return values[-1] if values else None
    if kind == "param":
        return logged.params.get(key)
    if kind == "tag":
        return logged.tags.get(key)
    names = {"creation_timestamp": "created_ms", "creation_time": "created_ms", "last_updated_timestamp": "updated_ms"}
    if key not in (*names, "name", "model_id", "model_type", "status", "source_run_id"):
        raise invalid(f"Invalid attribute key '{key}' specified")
    return getattr(logged, names.get(key, key))


def models_in_order(found: Sequence[LoggedModel], order_by: Sequence[tuple[str, bool]]) -> list[LoggedModel]:
    """Models by fields (`metrics.auc`), each rising or not, then the newest first. Absent values and NaN come last."""
    result = sorted(found, key=lambda one: (-one.created_ms, one.model_id))
    for name, rising in reversed(order_by):
        kind, key = _field(name)
        values = {one.model_id: of_model(one, kind, key) for one in result}
        known = [one for one in result if not _last(values[one.model_id])]
        known.sort(key=lambda one: values[one.model_id], reverse=not rising)
        result = known + [one for one in result if _last(values[one.model_id])]
    return result


def _of_run(run: TrackedRun, kind: str, key: str) -> Any:
    if kind == "metric":
        found = run.metrics.get(key)
        return None if found is None else found.value
    if kind == "param":
        return run.params.get(key)
    if kind == "tag":
        return run.tags.get(key)
    name = _ATTRIBUTES.get(key, key)
    if name not in ("run_id", "run_name", "status", "artifact_uri", "user_id", "start_time", "end_time"):
        raise invalid(f"Invalid attribute key '{key}' specified")
    return getattr(run, name)


def _of_experiment(experiment: Experiment, condition: Condition) -> Any:
    if condition.kind == "tag":
        return experiment.tags.get(condition.key)
    if condition.kind == "attribute" and condition.key in ("name", "creation_time", "last_update_time"):
        return getattr(experiment, condition.key)
    raise invalid(f"Invalid attribute key '{condition.key}' specified")


def _holds(value: Any, condition: Condition) -> bool:
    if value is None:
        return False
    try:
        return _COMPARE[condition.operator](value, condition.value)
    except TypeError:
        raise invalid(f"{condition.key} cannot be compared with {condition.value!r}") from None


def ordered(runs: Sequence[TrackedRun], order_by: Sequence[str]) -> list[TrackedRun]:
    """Runs as `order_by` says (`metrics.x DESC`), then the newest first. Absent values and NaN come last."""
    result = sorted(runs, key=lambda run: (-run.start_time, run.run_id))
    for clause in reversed(order_by):
        words = clause.split()
        down = len(words) > 1 and words[-1].upper() == "DESC"
        name = " ".join(words[:-1] if len(words) > 1 and words[-1].upper() in ("ASC", "DESC") else words)
        if not name:
            raise invalid(f"Invalid order_by clause '{clause}'")
        entity, key = _field(name)
        values = {run.run_id: _of_run(run, entity, key) for run in result}
        known = [run for run in result if not _last(values[run.run_id])]
        known.sort(key=lambda run: values[run.run_id], reverse=down)
        result = known + [run for run in result if _last(values[run.run_id])]
    return result


def _last(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))
