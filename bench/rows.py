"""One row of the table that `make bench` prints and writes to `build/bench.json`."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """`value` in `unit`; `against` names the peer or limit measured in the same run, `ratio` is value to it.

    `goal` is what the row should reach, in words; `met` whether it did.
    """

    name: str
    value: float
    unit: str
    against: str
    ratio: float | None
    goal: str
    met: bool


def table(rows: list[Row]) -> str:
    """The rows as aligned text."""
    head = ("name", "value", "unit", "against", "ratio", "goal", "met")
    cells = [head] + [
        (
            row.name,
            f"{row.value:.2f}",
            row.unit,
            row.against,
            "" if row.ratio is None else f"{row.ratio:.3f}",
            row.goal,
            "yes" if row.met else "NO",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells)


def write(rows: list[Row], path: Path) -> None:
    """Write the rows as a JSON list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
