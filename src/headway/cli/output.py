"""How the command line speaks: results on standard output, progress and errors on standard error.

`--output json` prints one JSON object, `{"schema": "headway.cli/1", "command": …, …}`, for results and errors alike.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from headway.core.errors import ConfigurationError, HeadwayError
from headway.core.events import Emit, Event, LogLine, Progress, StepFinished, StepStarted

SCHEMA = "headway.cli/1"


class Format(StrEnum):
    """What `--output` takes."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[Format, typer.Option("--output", help="How to print the result.", show_choices=True)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also show what tests and builds print.")]
Root = Annotated[
    str, typer.Option("--root", help="Folder of the application (with headway.toml).", show_default="this folder")
]


def _console(stderr: bool) -> Console:
    """As wide as its terminal; what goes to a file or to another program is neither wrapped nor cut."""
    console = Console(stderr=stderr, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = _UNBOUNDED
    return console


_UNBOUNDED = 100_000
progress_console, result_console = _console(stderr=True), _console(stderr=False)


@dataclass(frozen=True)
class Result:
    """What a command answers: `data` for machines, `text` for people."""

    command: str
    data: Mapping[str, Any]
    text: Callable[[Console], None]


def show(result: Result, output: Format) -> None:
    """Print a result on standard output in the chosen format."""
    if output is Format.JSON:
        print_json({"command": result.command, **result.data})
    else:
        result.text(result_console)


def print_json(data: Mapping[str, Any]) -> None:
    """One versioned JSON object on standard output."""
    sys.stdout.write(json.dumps({"schema": SCHEMA, **data}, indent=2, default=str) + "\n")


def show_error(error: HeadwayError, output: Format) -> None:
    """An error for a person, and in JSON also for the program that called us."""
    diagnostics = error.diagnostics if isinstance(error, ConfigurationError) else ()
    if output is Format.JSON:
        detail = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "diagnostics": [
                {
                    "file": d.location.file,
                    "line": d.location.line,
                    "path": d.path,
                    "message": d.message,
                    "hint": d.hint,
                    "severity": d.severity,
                }
                for d in diagnostics
            ],
        }
        print_json({"error": detail})
    for diagnostic in diagnostics:
        progress_console.print(str(diagnostic), markup=False)
    progress_console.print("error: ", style="bold red", end="")
    progress_console.print(error.message, markup=False)
    if error.hint:
        progress_console.print(f"       {error.hint}", markup=False)


def progress(verbose: bool = False) -> Emit:
    """An `Emit` that tells a person what goes on, a line per event; `verbose` adds what subprocesses print."""

    def emit(event: Event) -> None:
        match event:
            case StepStarted(step, what, environment):
                place = f" [{environment}]" if environment else ""
                progress_console.print(f"[cyan]▸ {step}[/]{_plain(place)} {_plain(what)}")
            case StepFinished(step, outcome, seconds, detail, environment):
                place = f" [{environment}]" if environment else ""
                style = {"ok": "green", "failed": "bold red", "skipped": "yellow"}[outcome]
                mark = {"ok": "✓", "failed": "✗", "skipped": "–"}[outcome]
                progress_console.print(
                    f"[{style}]{mark} {step}[/]{_plain(place)} {_plain(detail)} [dim]{seconds:.1f} s[/]"
                )
            case Progress(message):
                progress_console.print(f"  {_plain(message)}")
            case LogLine(source, text):
                if verbose:
                    progress_console.print(f"  [dim]{_plain(source)}| {_plain(text)}[/]")

    return emit


def _plain(text: str) -> str:
    """Text in which nothing is markup."""
    return text.replace("[", r"\[")
