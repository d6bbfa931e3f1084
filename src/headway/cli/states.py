"""What several commands say of an environment."""

from typing import Annotated

import typer
from rich.console import Console

from headway.cli.output import Result
from headway.core.ledger import EnvironmentState

Environment = Annotated[str, typer.Argument(help="Environment, as headway.toml names it.")]
Version = Annotated[str | None, typer.Option("--version", help="Release; without it the last one.")]


def state_result(command: str, environment: str, state: EnvironmentState) -> Result:
    """What stands there now."""

    def text(console: Console) -> None:
        console.print(f"{environment} stands at {state.version or 'nothing'} (serial {state.serial})", markup=False)

    return Result(command, {"environment": environment, "state": state.to_json()}, text)
