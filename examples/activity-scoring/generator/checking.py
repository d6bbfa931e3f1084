"""Hold what the application found against the truth. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from .generate import Truth


@dataclass(frozen=True)
class Agreement:
    """How scores agree with the true levels: `exact` and `adjacent` (off by one at most) are shares of `sessions`."""

    sessions: int
    exact: float
    adjacent: float
    missing: int


def agreement(truth: Truth, scores: Mapping[str, int]) -> Agreement:
    """`scores` are rubric levels by registration."""
    both = [(level, scores[key]) for key, level in truth.levels.items() if key in scores]
    if not both:
        return Agreement(0, 0.0, 0.0, len(truth.levels))
    exact = sum(true == found for true, found in both) / len(both)
    adjacent = sum(abs(true - found) <= 1 for true, found in both) / len(both)
    return Agreement(len(both), exact, adjacent, len(truth.levels) - len(both))


def count_problems(truth: Truth, counts: Mapping[str, int]) -> list[str]:
    """Where the counts of `ingest` (`read`, `accepted`, `malformed`, `duplicates`) are not the truth's."""
    expected = {
        "read": truth.lines,
        "malformed": truth.malformed,
        "duplicates": truth.duplicates,
        "accepted": truth.lines - truth.malformed - truth.duplicates,
    }
    return [
        f"{name} is {counts.get(name)}, expected {count}"
        for name, count in expected.items()
        if counts.get(name) != count
    ]
