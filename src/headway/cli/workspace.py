"""`headway workspace`: start, stop and look at the embedded workspace."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from headway.cli import observing, runtimes
from headway.cli.output import Format, Output, Result, progress, show
from headway.workspace.mailing import mail_server
from headway.workspace.process import Status, start, status, stop
from headway.workspace.settings import WorkspaceSettings

app = typer.Typer(
    help="The embedded workspace: the Databricks REST API on real Apache Spark, on this machine.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

app.add_typer(runtimes.app, name="runtime")
observing.register(app)

Data = Annotated[
    Path,
    typer.Option("--data", help="Folder of the workspace: database, files, runs.", envvar="HEADWAY_WORKSPACE_DATA"),
]
DEFAULT_DATA = Path(".headway/workspace")


class Tls(StrEnum):
    """Whose certificate."""

    SELF_SIGNED = "self-signed"


def _result(command: str, found: Status) -> Result:
    data = {
        "running": found.running,
        "url": found.url,
        "pid": found.pid,
        "data": str(found.data),
        "token_file": str(found.token_file) if found.token_file else None,
        "version": found.version,
        "certificate": str(found.certificate) if found.certificate else None,
    }

    def text(console: Console) -> None:
        if not found.running:
            console.print(f"no workspace runs on {found.data}", markup=False)
            return
        console.print(f"workspace {found.url}  (process {found.pid}, data in {found.data})", markup=False)
        console.print(f'export DATABRICKS_HOST={found.url} DATABRICKS_TOKEN="$(cat {found.token_file})"', markup=False)
        if found.certificate:
            trust = f"export REQUESTS_CA_BUNDLE={found.certificate} SSL_CERT_FILE={found.certificate}"
            console.print(f"{trust}  # trust its certificate", markup=False)

    return Result(command, data, text)


@app.command("start")
def start_command(
    data: Data = DEFAULT_DATA,
    host: Annotated[str, typer.Option(help="Address to listen on; loopback unless you say otherwise.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", envvar="HEADWAY_PORT")] = 8470,
    allow_download: Annotated[
        list[str] | None,
        typer.Option(help="Host that libraries may be pulled from although it is private, as 127.0.0.1. Repeatable."),
    ] = None,
    standby: Annotated[
        int, typer.Option(min=0, help="Warm Spark drivers kept ready for the next runs (about 0.5 GB each).")
    ] = 1,
    allow_webhook: Annotated[
        list[str] | None,
        typer.Option(help="Host that notifications may call although it is private. Repeatable."),
    ] = None,
    smtp_url: Annotated[
        str,
        typer.Option(
            help="Mail server of notifications: smtp://, smtps:// or smtp+starttls://[USER@]HOST[:PORT].",
            envvar="HEADWAY_SMTP_URL",
        ),
    ] = "",
    smtp_password_file: Annotated[Path | None, typer.Option(help="File that holds its password.")] = None,
    mail_from: Annotated[str, typer.Option(help="Sender of that mail.")] = "headway@localhost",
    keep_runs_days: Annotated[
        int, typer.Option(min=0, help="Forget runs, with their logs, so many days after their end; 0 keeps them.")
    ] = 60,
    restrict_clusters: Annotated[
        bool, typer.Option(help="Without a policy, let only users with allow-cluster-create make clusters.")
    ] = False,
    allow_git: Annotated[
        list[str] | None,
        typer.Option(
            help="Git server of your own: it may be private, be spoken to by ssh with this machine's keys and get "
            "tokens; or a folder that file:// may read. Repeatable."
        ),
    ] = None,
    tls: Annotated[
        Tls | None, typer.Option(help="Serve https with a certificate that the workspace makes for itself.")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Serve https with this certificate (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key (PEM), where it is a file of its own.")] = None,
    node_types: Annotated[
        Path | None,
        typer.Option(help="TOML file of node types, whose workers may come from spark://, k8s:// or yarn."),
    ] = None,
    output: Output = Format.TEXT,
) -> None:
    """Start it in the background and wait until it answers. The first start makes an admin token."""
    settings = WorkspaceSettings(
        data=data.resolve(),
        host=host,
        port=port,
        allow_download=tuple(allow_download or ()),
        standby=standby,
        tls_cert=tls_cert,
        tls_key=tls_key,
        tls_self_signed=tls is Tls.SELF_SIGNED and tls_cert is None,
        allow_webhook=tuple(allow_webhook or ()),
        smtp_url=smtp_url,
        smtp_password_file=smtp_password_file,
        mail_from=mail_from,
        keep_runs_days=keep_runs_days,
        restrict_clusters=restrict_clusters,
        allow_git=tuple(allow_git or ()),
        node_types=node_types,
    )
    mail_server(smtp_url, smtp_password_file, mail_from)  # what is wrong with it is told here, not in a log
    show(_result("workspace start", start(settings, progress())), output)


@app.command("stop")
def stop_command(data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """Stop it: runs are ended with a reason, drivers are ended, everything is kept."""
    show(_result("workspace stop", stop(data.resolve())), output)


@app.command("prune")
def prune_command(
    data: Data = DEFAULT_DATA,
    days: Annotated[int, typer.Option("--keep-runs-days", min=0, help="Keep runs that ended since.")] = 60,
    output: Output = Format.TEXT,
) -> None:
    """Forget runs that ended long ago, with their tasks and logs; whether it runs or not. A workspace does so daily."""
    from headway.workspace.pruning import prune_folder  # it brings SQLAlchemy

    count = prune_folder(data.resolve(), days)
    text = f"{count} runs that ended more than {days} days ago were forgotten"
    show(
        Result("workspace prune", {"forgotten": count, "keep_runs_days": days}, lambda console: console.print(text)),
        output,
    )


@app.command("status")
def status_command(data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """Tell whether it runs, and how to point tools at it. Exit status 1 where it does not."""
    found = status(data.resolve())
    show(_result("workspace status", found), output)
    if not found.running:
        raise typer.Exit(1)
