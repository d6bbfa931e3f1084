"""The command line of both programs."""

import argparse
import sys


def read(names: list[str]) -> argparse.Namespace:
    """`--name VALUE` for each name, all needed."""
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    return parser.parse_args(sys.argv[1:])
