"""`headway verify`, `promote`, `rollback`, `status`: environments and what stands in them."""

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.cli.context import load
from headway.cli.output import Format, Output, Result, Root, Verbose, progress, show
from headway.cli.states import Environment, Version, state_result
from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState
from headway.delivery import line as delivery
from headway.delivery import rolling_back
from headway.delivery.gates import verify as verify_gates
from headway.delivery.standing import EnvironmentStatus
from headway.delivery.standing import status as environment_statuses

PANEL = "The line, step by step"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    for command in (verify, promote, rollback):
        app.command(command.__name__, rich_help_panel=PANEL)(command)
    app.command("status", rich_help_panel="Looking")(status)


def verify(
    environment: Environment,
    root: Root = ".",
    take_back: Annotated[
        bool, typer.Option("--take-back", help="Where one refuses it, bring back what stood there before.")
    ] = False,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Run the gates of an environment on the release that stands there. Exit status 3 where one refuses it."""
    context = load(root, progress(verbose))
    state = context.line.target(environment).ledger.state()
    line = context.line_of(state.version)[0] if state.version else context.line
    target = line.target(environment)
    try:
        verdict = verify_gates(target)
    except HeadwayError as error:
        if take_back and error.code == "GATE_FAILED":
            earlier = state.before()
            before = EnvironmentState()
            if earlier is not None:
                before = EnvironmentState(version=earlier.version, deployment=earlier.deployment)
            rolling_back.take_environment_back(target, before)
        raise

    def text(console: Console) -> None:
        console.print(f"{verdict.version} passed the gates of {environment}", markup=False)
        for entry in verdict.evidence:
            seconds = f"{entry['seconds']:.1f} s"
            what = f"{entry['job']}: run {entry['run_id']}" if "job" in entry else f"parity with {entry['against']}:"
            console.print(f"  {what} {entry['result']} in {seconds}", markup=False)

    show(Result("verify", {"verdict": asdict(verdict)}, text), output)


def promote(
    environment: Environment,
    root: Root = ".",
    version: Version = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Bring the very bytes that passed the environment before this one to this one."""
    context = load(root, progress(verbose))
    after = context.line.target(environment).environment.after
    if version is None and after is not None:
        version = context.line.target(after).ledger.state().version
    line, release = context.line_of(version)
    delivery.promote(line, release, environment)
    show(state_result("promote", environment, line.target(environment).ledger.state()), output)


def rollback(
    environment: Environment,
    root: Root = ".",
    to: Annotated[str | None, typer.Option("--to", help="Version; without it the one before the present one.")] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Go back even to a release whose signature or bytes do not verify.")
    ] = False,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Bring an environment back to what stood there before: code and job settings both, as one unit.

    The release is verified first, by the keys that this folder's headway.toml trusts.
    """
    target = load(root, progress(verbose)).line.target(environment)
    state = rolling_back.rollback(target, to, unverified=unverified)
    show(state_result("rollback", environment, state), output)


def status(root: Root = ".", output: Output = Format.TEXT) -> None:
    """Show what stands in each environment, whether it passed its gates, and whether somebody changed it by hand."""
    line = load(root, progress()).line
    found = environment_statuses(line)
    data = {"app": line.app.name, "environments": [_status_json(entry) for entry in found]}

    def text(console: Console) -> None:
        table = Table("environment", "version", "since", "jobs", "gates", "drift", box=None, pad_edge=False)
        for entry in found:
            verdict = entry.state.verdict
            gates = "—" if verdict is None else "passed" if verdict.passed else "refused"
            since = entry.state.history[-1].at if entry.state.history else ""
            table.add_row(
                entry.name, entry.state.version or "nothing", since, str(len(entry.state.jobs)), gates, _drift(entry)
            )
        console.print(table)

    show(Result("status", data, text), output)


def _drift(entry: EnvironmentStatus) -> str:
    if entry.drifted is None:
        return f"unknown: {entry.problem}"
    return ", ".join(entry.drifted) or "none"


def _status_json(entry: EnvironmentStatus) -> dict[str, Any]:
    drifted = None if entry.drifted is None else list(entry.drifted)
    return {"name": entry.name, "state": entry.state.to_json(), "drifted": drifted, "problem": entry.problem}
