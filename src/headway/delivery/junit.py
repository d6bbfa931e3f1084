"""JUnit XML, the common tongue of test runners: counts, and which tests failed."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from headway.core.events import CaseResult

_TEXT = 8000
_FILE_BYTES = 64 * 2**20
_CASES = 20_000


@dataclass(frozen=True)
class Report:
    """What one or several JUnit files say. `cases` are at most 20,000; the counts are of all."""

    passed: int
    failed: int
    skipped: int
    cases: tuple[CaseResult, ...]

    @property
    def failures(self) -> tuple[str, ...]:
        """`class.name: message` of each case that failed, in the files' order."""
        bad = (case for case in self.cases if case.outcome == "failed")
        names = ((f"{case.class_name}.{case.name}".strip("."), case.message) for case in bad)
        return tuple(f"{name}: {message}" if message else name for name, message in names)


def read(folder: Path, patterns: Iterable[str]) -> Report:
    """The files below `folder` that match. A file that is not JUnit XML counts as nothing."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    cases: list[CaseResult] = []
    for path in sorted({found for pattern in patterns for found in folder.glob(pattern)}):
        for element in _cases(path):
            case = _result(element)
            counts[case.outcome] += 1
            # A failing case is always kept: it is what somebody looks for.
            if case.outcome == "failed" or len(cases) < _CASES:
                cases.append(case)
    return Report(counts["passed"], counts["failed"], counts["skipped"], tuple(cases))


def _result(element: ElementTree.Element) -> CaseResult:
    outcome: Literal["passed", "failed", "skipped"] = "passed"
    message = text = ""
    bad = next((part for part in element if part.tag in ("failure", "error")), None)
    if bad is not None:
        outcome, text = "failed", (bad.text or "").strip()[:_TEXT]
        lines = (bad.get("message") or text).strip().splitlines()
        message = lines[0][:300] if lines else ""
    elif any(part.tag == "skipped" for part in element):
        outcome = "skipped"
    try:
        seconds = float(element.get("time") or 0)
    except ValueError:
        seconds = 0.0
    return CaseResult(element.get("classname", ""), element.get("name", ""), outcome, seconds, message, text)


def _cases(path: Path) -> Iterable[ElementTree.Element]:
    if not path.is_file() or path.stat().st_size > _FILE_BYTES:
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    if re.search(r"<!DOCTYPE|<!ENTITY", text):  # an entity may expand without end
        return []
    try:
        return list(ElementTree.fromstring(text).iter("testcase"))  # noqa: S314  (entities are refused above)
    except ElementTree.ParseError:
        return []
