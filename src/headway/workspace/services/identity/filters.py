"""SCIM filters, as `userName eq "x" and not (active eq false)`. Pure.

Source: RFC 7644, section 3.4.2.2. Attribute names and text compare without regard to case.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from headway.workspace.errors import invalid

Filter = Callable[[Mapping[str, Any]], bool]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[()\[\]]|[^\s()\[\]"]+)')
_MOST_TOKENS = 200
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, wanted: bool(found == wanted),
    "ne": lambda found, wanted: bool(found != wanted),
    "co": lambda found, wanted: str(wanted) in str(found),
    "sw": lambda found, wanted: str(found).startswith(str(wanted)),
    "ew": lambda found, wanted: str(found).endswith(str(wanted)),
    "gt": lambda found, wanted: str(found) > str(wanted),
    "ge": lambda found, wanted: str(found) >= str(wanted),
    "lt": lambda found, wanted: str(found) < str(wanted),
    "le": lambda found, wanted: str(found) <= str(wanted),
}


def parse(text: str) -> Filter:
    """The filter that `text` means. Raise ApiError where it means none."""
    tokens: list[str] = []
    place = 0
    while text[place:].strip():
        match = _TOKEN.match(text, place)
        if match is None or len(tokens) >= _MOST_TOKENS:
            raise _bad(text)
        tokens.append(match.group(1))
        place = match.end()
    parser = _Parser(text, tokens)
    found = parser.either()
    if parser.rest:
        raise _bad(text)
    return found


def values(resource: Any, path: str) -> list[Any]:
    """What is at an attribute path (`emails.value`); each element of a list on the way counts."""
    found = [resource]
    for name in path.split("."):
        inner: list[Any] = []
        for entry in found:
            if isinstance(entry, Mapping):
                value = next((entry[key] for key in entry if str(key).lower() == name.lower()), None)
                inner += value if isinstance(value, list) else [] if value is None else [value]
        found = inner
    # `members eq "1"` means the value of an element
    return [entry["value"] if isinstance(entry, Mapping) and "value" in entry else entry for entry in found]


def _bad(text: str) -> Exception:
    return invalid(f"The filter {text[:200]!r} is not a SCIM filter, as 'userName eq \"somebody\"'")


class _Parser:
    def __init__(self, text: str, tokens: list[str]) -> None:
        self._text, self.rest = text, tokens

    def _take(self) -> str:
        if not self.rest:
            raise _bad(self._text)
        return self.rest.pop(0)

    def _next_is(self, word: str) -> bool:
        if self.rest and self.rest[0].lower() == word:
            self.rest.pop(0)
            return True
        return False

    def either(self) -> Filter:
        found = self._both()
        while self._next_is("or"):
            found = _or(found, self._both())
        return found

    def _both(self) -> Filter:
        found = self._one()
        while self._next_is("and"):
            found = _and(found, self._one())
        return found

    def _one(self) -> Filter:
        if self._next_is("not"):
            inner = self._one()
            return lambda resource: not inner(resource)
        if self._next_is("("):
            inner = self.either()
            if not self._next_is(")"):
                raise _bad(self._text)
            return inner
        path = self._take()
        if self._next_is("["):
            inner = self.either()
            if not self._next_is("]"):
                raise _bad(self._text)
            return lambda resource: any(inner(entry) for entry in _entries(resource, path))
        operator = self._take().lower()
        if operator == "pr":
            return lambda resource: any(value not in (None, "") for value in values(resource, path))
        compare = _COMPARE.get(operator)
        if compare is None:
            raise _bad(self._text)
        wanted = self._literal(self._take())
        if operator == "ne":
            return lambda resource: all(_folded(value) != wanted for value in values(resource, path))
        return lambda resource: any(compare(_folded(value), wanted) for value in values(resource, path))

    def _literal(self, token: str) -> Any:
        try:
            return _folded(json.loads(token))
        except ValueError:
            if token.startswith('"') or token in ("(", ")", "[", "]"):
                raise _bad(self._text) from None
            return _folded(token)  # clients leave the quotes out


def _entries(resource: Any, path: str) -> list[Any]:
    found: Any = next((resource[key] for key in resource if str(key).lower() == path.lower()), [])
    return found if isinstance(found, list) else [found]


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _or(one: Filter, other: Filter) -> Filter:
    return lambda resource: one(resource) or other(resource)


def _and(one: Filter, other: Filter) -> Filter:
    return lambda resource: one(resource) and other(resource)
