"""What the demo shows at its end: a table for people, the same as data."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from headway.cli.demo.scenarios import Scenario

COLUMNS = ("checkout", "test", "build", "store", "publish", "copy", "plan", "apply", "gate", "rollback")

_REASON_WIDTH = 40


def step_seconds(scenario: Scenario) -> dict[str, float]:
    """Wall seconds by step, over all environments. A rollback's own steps are within it, so they are not its equals."""
    total: dict[str, float] = {}
    for step in scenario.steps:
        total[step.step] = total.get(step.step, 0.0) + step.seconds
    return total


def as_json(scenario: Scenario) -> dict[str, Any]:
    """One scenario."""
    return {
        "name": scenario.name,
        "title": scenario.title,
        "outcome": scenario.outcome,
        "reason": scenario.reason,
        "commit": scenario.commit,
        "subject": scenario.subject,
        "version": scenario.version,
        "digests": scenario.digests,
        "jobs": scenario.jobs,
        "seconds": round(scenario.seconds, 3),
        "spark_seconds": round(scenario.spark_seconds, 3),
        "steps": [
            {
                "step": step.step,
                "environment": step.environment,
                "outcome": step.outcome,
                "seconds": round(step.seconds, 3),
                "detail": step.detail,
            }
            for step in scenario.steps
        ],
        "checks": [{"claim": c.claim, "holds": c.holds, "detail": c.detail} for c in scenario.checks],
    }


def show(console: Console, scenarios: Sequence[Scenario], look: Mapping[str, str]) -> None:
    """What happened, the seconds of each step, every check, and where to look further."""
    console.print(_outcomes(scenarios))
    console.print()
    console.print(_seconds(scenarios))
    for scenario in scenarios:
        console.print(f"\n({scenario.name}) {scenario.title}", markup=False)
        if scenario.reason:
            console.print(f"    {scenario.reason}", markup=False, style="yellow")
        for check in scenario.checks:
            mark = "✓" if check.holds else "✗"
            detail = f": {check.detail}" if check.detail and not check.holds else ""
            style = "green" if check.holds else "bold red"
            console.print(f"    {mark} {check.claim}{detail}", markup=False, style=style)
    console.print()
    for what, where in look.items():
        console.print(f"{what}: {where}", markup=False)


def _outcomes(scenarios: Sequence[Scenario]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "commit", "version", "how far"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", no_wrap=True)
    for scenario in scenarios:
        good = all(check.holds for check in scenario.checks)
        style = "green" if good else "bold red"
        table.add_row(
            scenario.name,
            scenario.commit[:8] or "—",
            scenario.version or "—",
            f"[{style}]{scenario.outcome}[/]",
            escape(_short(scenario.reason)) or "—",
        )
    return table


def _short(reason: str) -> str:
    """The beginning of a reason; the whole of it stands below the tables."""
    return reason if len(reason) <= _REASON_WIDTH else reason[: _REASON_WIDTH - 1] + "…"


def _seconds(scenarios: Sequence[Scenario]) -> Table:
    """A row per step, a column per scenario."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("seconds")
    for scenario in scenarios:
        table.add_column(scenario.name, justify="right")
    spent = [step_seconds(scenario) for scenario in scenarios]
    for name in COLUMNS:
        table.add_row(name, *(f"{seconds[name]:.1f}" if name in seconds else "" for seconds in spent))
    table.add_row("all, with checks", *(f"{scenario.seconds:.1f}" for scenario in scenarios), style="bold")
    return table
