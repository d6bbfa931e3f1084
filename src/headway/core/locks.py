"""The exact versions that a Python project's lock file names. Pure.

Formats: `uv.lock`, `poetry.lock`, `pylock.toml` (PEP 751), pins of a `requirements.txt`.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from headway.core.artifacts import Package

# In the order in which they are looked for: a lock before a list.
LOCK_FILES = ("uv.lock", "poetry.lock", "pylock.toml", "requirements.txt")


def python_packages(requires: Iterable[str], lock: str = "", text: str = "") -> tuple[Package, ...]:
    """What a wheel needs: its `Requires-Dist` lines (without extras), and, with the text of the lock file called
    `lock`, the exact version of each of them and of all that they need in turn. A lock that cannot be read counts as
    none: the wheel's own lines are still true."""
    wanted: dict[str, Requirement] = {}
    for line in requires:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        if "extra" not in str(requirement.marker or ""):
            wanted.setdefault(canonicalize_name(requirement.name), requirement)
    locked = _pins(text) if lock == "requirements.txt" else _tables(text, wanted) if lock else {}
    names = sorted({*wanted, *locked})
    return tuple(
        Package("pypi", name, locked.get(name, ""), requirement=_requirement(wanted.get(name), locked.get(name, "")))
        for name in names
    )


def _requirement(requirement: Requirement | None, version: str) -> str:
    if requirement is None:
        return f"=={version}"
    return str(requirement.specifier) or "any version"


def _pins(text: str) -> dict[str, str]:
    """`name==version` lines; options, URLs and ranges pin nothing."""
    found: dict[str, str] = {}
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.split(r"\s#|\s--hash", line.strip(), maxsplit=1)[0].strip()
        if not plain or plain[0] in "#-":
            continue
        try:
            requirement = Requirement(plain)
        except InvalidRequirement:
            continue
        exact = [entry.version for entry in requirement.specifier if entry.operator in ("==", "===")]
        if len(exact) == 1 and "*" not in exact[0]:
            found[str(canonicalize_name(requirement.name))] = exact[0]
    return found


def _tables(text: str, wanted: Mapping[str, Requirement]) -> dict[str, str]:
    """The packages of a lock in TOML that `wanted` reaches: development tools are locked too, and not meant."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}
    entries = data.get("package", data.get("packages"))
    if not isinstance(entries, list):
        return {}
    known = {
        str(canonicalize_name(entry["name"])): entry
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("version"), str)
    }
    found: dict[str, str] = {}
    queue = [name for name in wanted if name in known]
    while queue:
        name = queue.pop()
        if name not in found:
            found[name] = known[name]["version"]
            queue.extend(other for other in _needs(known[name]) if other in known)
    return found


def _needs(entry: Mapping[str, Any]) -> Iterable[str]:
    needs = entry.get("dependencies", ())
    names = needs if isinstance(needs, dict) else (need.get("name", "") for need in needs if isinstance(need, dict))
    return [str(canonicalize_name(str(name))) for name in names]
