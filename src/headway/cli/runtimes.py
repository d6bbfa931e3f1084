"""`headway workspace runtime`: the Sparks that a job's `spark_version` may name."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from headway.adapters.spark import default_cache
from headway.cli.output import Format, Output, Result, Verbose, progress, show
from headway.workspace.runtime.installing import install, installed, remove
from headway.workspace.runtime.lines import LINES
from headway.workspace.runtime.tasks import Runtime

app = typer.Typer(
    help="The Sparks that a job's `spark_version` may name, each with its own Python and Java.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Key = Annotated[str, typer.Argument(help="As 3.5, 3.5.9 or 3.5.x-scala2.12; `list` tells which there are.")]


def _json(runtime: Runtime) -> dict[str, Any]:
    return {
        "key": runtime.key,
        "spark": runtime.spark,
        "scala": runtime.scala,
        "python": str(runtime.python),
        "spark_home": str(runtime.spark_home),
        "java_home": str(runtime.java_home),
        "options": list(runtime.options),
    }


@app.command("list")
def list_command(output: Output = Format.TEXT) -> None:
    """Those that are installed, and those that can be."""
    found = list(installed(default_cache()).values())
    keys = {runtime.key for runtime in found}
    available = [line for line in LINES if line.key not in keys]
    data = {
        "runtimes": [{**_json(runtime), "default": runtime is found[0]} for runtime in found],
        "available": [{"key": line.key, "spark": line.version, "python": line.pythons_text} for line in available],
    }

    def text(console: Console) -> None:
        table = Table("spark_version", "Spark", "Scala", "options", "", box=None, header_style="bold")
        for runtime in found:
            options, note = ", ".join(runtime.options), "default" if runtime is found[0] else ""
            table.add_row(runtime.key, runtime.spark, runtime.scala, options, note)
        for line in available:
            note = f"not installed; needs Python {line.pythons_text}"
            table.add_row(line.key, line.version, line.scala, "", note, style="dim")
        console.print(table)

    show(Result("workspace runtime list", data, text), output)


@app.command("install")
def install_command(
    key: Key,
    options: Annotated[
        list[str] | None, typer.Option("--with", help="An option: s3a makes s3a:// paths work. Repeatable.")
    ] = None,
    python: Annotated[Path | None, typer.Option(help="The Python to use, where it is not on the PATH.")] = None,
    verbose: Verbose = False,
    output: Output = Format.TEXT,
) -> None:
    """Install one, or an option of one; a running workspace takes it up by itself."""
    runtime = install(key, default_cache(), options or (), python, progress(verbose))
    _tell("install", "installed", runtime, output)


@app.command("remove")
def remove_command(key: Key, output: Output = Format.TEXT) -> None:
    """Remove an installed one with its options. Refused while a cluster runs on it."""
    _tell("remove", "removed", remove(key, default_cache()), output)


def _tell(command: str, done: str, runtime: Runtime, output: Format) -> None:
    def text(console: Console) -> None:
        options = f", with {', '.join(runtime.options)}" if runtime.options else ""
        console.print(f"{done} {runtime.key}: Apache Spark {runtime.spark}{options}", markup=False)

    show(Result(f"workspace runtime {command}", _json(runtime), text), output)
