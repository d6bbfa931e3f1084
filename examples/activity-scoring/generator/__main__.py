"""`python -m generator FOLDER`: write made-up activity; `--rate` prints it live instead."""

import argparse
import sys
import tempfile
from pathlib import Path

from .generate import generate, paced


def main() -> None:
    """Read the command line and do it."""
    parser = argparse.ArgumentParser(prog="generator", description=__doc__)
    parser.add_argument("folder", type=Path, help="where to write; with --rate only the labels and truth go there")
    parser.add_argument(
        "--learners", type=int, default=100, help="each does three tasks a day (about 25 statements each)"
    )
    parser.add_argument("--days", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same bytes")
    parser.add_argument("--malformed-rate", type=float, default=0.01)
    parser.add_argument("--duplicate-rate", type=float, default=0.02)
    parser.add_argument("--labelled-fraction", type=float, default=0.0, help="share of sessions that raters label")
    parser.add_argument("--rate", type=float, help="print statements to standard output, so many a second")
    given = parser.parse_args()
    for day in range(1, given.days + 1):
        with tempfile.TemporaryDirectory() as scratch:
            target = Path(scratch) if given.rate else given.folder
            truth = generate(
                target,
                learners=given.learners,
                seed=given.seed,
                day=day,
                malformed_rate=given.malformed_rate,
                duplicate_rate=given.duplicate_rate,
                labelled_fraction=given.labelled_fraction,
            )
            if given.rate:
                lines = [line for path in sorted(target.glob("statements/*")) for line in path.read_text().splitlines()]
                for line in paced(lines, given.rate):
                    print(line, flush=True)
        print(f"day {day}: {truth.lines} lines, {len(truth.levels)} sessions", file=sys.stderr)


if __name__ == "__main__":
    main()
