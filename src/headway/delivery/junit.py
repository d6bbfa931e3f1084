"""JUnit XML, the common tongue of test runners: counts, and which tests failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree


@dataclass(frozen=True)
class Report:
    """What one or several JUnit files say. `failures` are `class.name: message`, in the files' order."""

    passed: int
    failed: int
    skipped: int
    failures: tuple[str, ...]


def read(folder: Path, patterns: Iterable[str]) -> Report:
    """The files below `folder` that match. A file that is not JUnit XML counts as nothing."""
    passed = failed = skipped = 0
    failures: list[str] = []
    for path in sorted({found for pattern in patterns for found in folder.glob(pattern)}):
        for case in _cases(path):
            bad = next((part for part in case if part.tag in ("failure", "error")), None)
            if bad is not None:
                failed += 1
                name = f"{case.get('classname', '')}.{case.get('name', '')}".strip(".")
                message = (bad.get("message") or bad.text or "").strip().splitlines()
                failures.append(f"{name}: {message[0][:300]}" if message else name)
            elif any(part.tag == "skipped" for part in case):
                skipped += 1
            else:
                passed += 1
    return Report(passed, failed, skipped, tuple(failures))


def _cases(path: Path) -> Iterable[ElementTree.Element]:
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.search(r"<!DOCTYPE|<!ENTITY", text):  # an entity may expand without end
        return []
    try:
        return list(ElementTree.fromstring(text).iter("testcase"))  # noqa: S314  (entities are refused above)
    except ElementTree.ParseError:
        return []
