"""What clients send as JSON, made safe to work with: bounded depth, finite numbers, text that can be written."""

import json
import math
from collections.abc import Mapping
from typing import Any, NoReturn

from headway.workspace.errors import ApiError, malformed

Data = dict[str, Any]

MAX_DEPTH = 64
_WHOLE = 2**63


def json_object(body: bytes) -> Data:
    """The object that `body` holds. Raise ApiError where it holds anything else, nests deeper than 64 levels, has
    a number that is not finite, or text that is not Unicode."""
    try:
        parsed = json.loads(body, parse_constant=_not_a_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise malformed(f"Could not parse request object: {type(error).__name__}: {str(error)[:200]}") from None
    if not isinstance(parsed, dict):
        raise malformed("Could not parse request object: expected a JSON object")
    if body.count(b"{") + body.count(b"[") > MAX_DEPTH and _depth(parsed) > MAX_DEPTH:
        raise malformed(f"Could not parse request object: it nests deeper than {MAX_DEPTH} levels")
    if b"\\u" in body:
        try:
            json.dumps(parsed, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise malformed("Could not parse request object: half a surrogate pair is not text") from None
    return parsed


def _not_a_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is out of range")
    return value


def _depth(value: Any) -> int:
    """How deep it nests, without recursion: level by level."""
    level, depth = [value], 0
    while level and depth <= MAX_DEPTH:
        depth += 1
        level = [
            inner
            for entry in level
            for inner in (entry.values() if isinstance(entry, dict) else entry)
            if isinstance(inner, dict | list)
        ]
    return depth


def text(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A field that must be a string. Raise ApiError where it is missing (and has no default) or of another type."""
    value = data.get(name, default)
    if value is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
    if isinstance(value, str):
        return value
    raise malformed(f"Could not parse request object: Expected string for field {name}, found {type(value).__name__}")


def number(data: Mapping[str, Any], name: str, default: int | None = None) -> int:
    """A field that must be a whole number; some clients send it as text."""
    value = data.get(name, default)
    if value is None:
        raise ApiError("INVALID_PARAMETER_VALUE", f"Missing required field: {name}")
    if isinstance(value, bool | float) and not (isinstance(value, float) and value.is_integer()):
        raise malformed(f"Could not parse request object: Expected number for field {name}, found {value!r:.100}")
    try:
        result = int(value)
    except (TypeError, ValueError):
        found = f"{value!r:.100}"
        raise malformed(f"Could not parse request object: Expected number for field {name}, found {found}") from None
    if not -_WHOLE <= result < _WHOLE:
        raise malformed(f"Could not parse request object: {name} is out of range")
    return result


def flag(data: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """A field that must be true or false; queries carry it as text, in whatever case."""
    value = data.get(name, default)
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0"):
        return value.lower() in ("true", "1")
    raise malformed(f"Could not parse request object: Expected boolean for field {name}, found {value!r:.100}")


def objects(data: Mapping[str, Any], name: str) -> list[Data]:
    """A field that must be a list of objects; empty where it is absent."""
    value = data.get(name)
    if value is None:
        return []
    if isinstance(value, list) and all(isinstance(entry, dict) for entry in value):
        return value
    raise malformed(f"Could not parse request object: Expected array of objects for field {name}")


def page(data: Mapping[str, Any], default: int, most: int) -> tuple[int, int]:
    """The offset that `page_token` names and the page's size (`max_results`, `page_size`). Raise ApiError."""
    size = number(data, "max_results" if "max_results" in data else "page_size", default)
    if not 0 <= size <= most:
        raise ApiError("INVALID_PARAMETER_VALUE", f"a page has from 1 to {most} entries")
    token = data.get("page_token") or "0"
    if not isinstance(token, str) or not token.isdigit() or len(token) > 18:
        raise ApiError("INVALID_PARAMETER_VALUE", "page_token is not one that this workspace gave")
    return int(token), size or default
