"""`headway report`: how the teams deliver and what their clusters cost, from a server."""

import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.ci import DEFAULT_DATA, Client, Data, ServerUrl
from headway.cli.output import Format, Output, Result, show
from headway.cli.serve import PANEL
from headway.core.errors import HeadwayError


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    app.command("report", rich_help_panel=PANEL)(report)


def report(
    app: Annotated[str | None, typer.Option("--app", help="Of one application only; clusters are of all.")] = None,
    days: Annotated[int, typer.Option("--days", help="How far back.", min=1, max=730)] = 30,
    as_csv: Annotated[bool, typer.Option("--csv", help="One figure a line, for a spreadsheet.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --output json.")] = False,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Tell lead time, deployment frequency, change failure rate and time to restore, and what clusters cost and saved.

    By application and environment, over time with --csv and --json.
    """
    if as_csv and (as_json or output is Format.JSON):
        raise HeadwayError("REQUEST_INVALID", reason="--csv and --json exclude each other")
    client = Client(server, data)
    if as_csv:
        sys.stdout.write(client.text("/report.csv", app=app, days=days))
        return
    found = client.ask("GET", "/report", app=app, days=days)

    def text(console: Console) -> None:
        console.print(_delivery(found["delivery"]))
        clusters = found["clusters"]
        if clusters is None:
            console.print(f"clusters: {found['problem']}", markup=False)
            return
        console.print(_clusters(clusters["groups"], clusters["currency"]))
        share = clusters["saved_share"]
        if share is not None:
            console.print(
                f"{clusters['hours']:.1f} node hours; always-on would have been {clusters['always_on_hours']:.1f}: "
                f"{share:.0%} saved ({clusters['idle_saved_hours']:.1f} h by ending all-purpose clusters, "
                f"{clusters['per_run_saved_hours']:.1f} h by clusters per run)",
                markup=False,
            )

    show(Result("report", {"report": found}, text), Format.JSON if as_json else output)


def _delivery(places: list[dict[str, Any]]) -> Table:
    heads = ("application", "environment", "deployments", "a week", "lead time", "failure rate", "time to restore")
    table = Table(*heads, box=None, pad_edge=False)
    for place in places:
        rate = place["failure_rate"]
        table.add_row(
            place["app"],
            place["environment"],
            str(place["stood"]),
            f"{place['per_week']:.1f}",
            _seconds(place["lead_seconds"]),
            "–" if rate is None else f"{rate:.0%}",
            _seconds(place["restore_seconds"]),
        )
    return table


def _clusters(groups: list[dict[str, Any]], currency: str) -> Table:
    table = Table("cluster or job", "kind", "hours", "always-on", "ended idle", "cost", box=None, pad_edge=False)
    for group in groups:
        cost = group["cost"]
        table.add_row(
            group["group"],
            f"{group['clusters']} per run" if group["per_run"] else "all-purpose",
            f"{group['hours']:.2f}",
            f"{group['always_on_hours']:.2f}",
            str(group["idle_ends"]),
            "no price" if cost is None else f"{cost:.2f} {currency}",
        )
    return table


def _seconds(value: float | None) -> str:
    if value is None:
        return "–"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 7200 else f"{value / 3600:.1f} h"
