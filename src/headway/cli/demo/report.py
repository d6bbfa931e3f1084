"""What the demo shows at its end: a table for people, the same as data."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from headway.cli.demo.scenarios import Scenario

COLUMNS = ("checkout", "test", "build", "store", "publish", "copy", "plan", "apply", "gate", "rollback")


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
    """The table, the checks that failed, and where to look further."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "commit", "version", "how far", "seconds"):
        table.add_column(name, no_wrap=True)
    for name in COLUMNS:
        table.add_column(name, justify="right", style="dim")
    for scenario in scenarios:
        seconds = step_seconds(scenario)
        good = all(check.holds for check in scenario.checks)
        table.add_row(
            scenario.name,
            scenario.commit[:8] or "—",
            scenario.version or "—",
            f"[green]{scenario.outcome}[/]" if good else f"[bold red]{scenario.outcome}[/]",
            f"{scenario.seconds:.1f}",
            *(f"{seconds[name]:.1f}" if name in seconds else "" for name in COLUMNS),
        )
    console.print(table)
    console.print()
    for scenario in scenarios:
        console.print(f"({scenario.name}) {scenario.title}", markup=False)
        if scenario.reason:
            console.print(f"    {scenario.reason}", markup=False, style="yellow")
        for check in scenario.checks:
            mark = "✓" if check.holds else "✗"
            detail = f": {check.detail}" if check.detail and not check.holds else ""
            console.print(
                f"    {mark} {check.claim}{detail}", markup=False, style="green" if check.holds else "bold red"
            )
    console.print()
    for what, where in look.items():
        console.print(f"{what}: {where}", markup=False)
