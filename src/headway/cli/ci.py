"""`headway app` and `headway runs`: the CI engine from a terminal, over its server's HTTP API."""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import requests
import typer
from rich.console import Console
from rich.table import Table

from headway.cli.output import Format, Output, Result, show
from headway.core.errors import HeadwayError

app_group = typer.Typer(
    help="Registered applications of a CI engine.", no_args_is_help=True, rich_markup_mode="markdown"
)
runs_group = typer.Typer(help="Runs of a CI engine.", no_args_is_help=True, rich_markup_mode="markdown")

ServerUrl = Annotated[
    str | None,
    typer.Option("--server", help="URL of the server; without it the one of this folder.", envvar="HEADWAY_SERVER"),
]
Data = Annotated[
    Path, typer.Option("--data", help="Data folder of a server on this machine.", envvar="HEADWAY_CI_DATA")
]
DEFAULT_DATA = Path(".headway/server")
RunId = Annotated[int, typer.Argument(help="Number of the run.")]
Name = Annotated[str, typer.Argument(help="Name of the application, as its headway.toml says.")]
_TIMEOUT_SECONDS = 120


class Client:
    """Speaks to a server. The token comes from HEADWAY_SERVER_TOKEN, or is the local server's own."""

    def __init__(self, url: str | None, data: Path) -> None:
        from headway.pipeline.server import find_server

        token = os.environ.get("HEADWAY_SERVER_TOKEN", "")
        if url is None:
            found = find_server(data.resolve())
            if found is None:
                raise HeadwayError("SERVER_UNKNOWN", data=data)
            url, file = found
            token = token or file.read_text().strip()
        self.url, self._token = url.rstrip("/"), token

    def ask(self, method: str, path: str, **fields: Any) -> dict[str, Any]:
        """One call. Raise HeadwayError SERVER_UNREACHABLE, SERVER_REFUSED with what the server said."""
        answer = self._send(method, path, fields)
        try:
            data = answer.json()
        except ValueError as error:
            raise HeadwayError("SERVER_UNREACHABLE", url=self.url, reason=type(error).__name__) from None
        if answer.status_code >= 300:
            said = data.get("error", {}) if isinstance(data, dict) else {}
            raise HeadwayError(
                "SERVER_REFUSED", reason=said.get("message", answer.status_code), hint=said.get("hint", "")
            )
        return dict(data)

    def text(self, path: str, **fields: Any) -> str:
        """One read whose answer is text. Raise the same."""
        answer = self._send("GET", path, fields)
        if answer.status_code >= 300:
            raise HeadwayError("SERVER_REFUSED", reason=answer.text[:500], hint="")
        return answer.text

    def _send(self, method: str, path: str, fields: Mapping[str, Any]) -> requests.Response:
        given = {key: value for key, value in fields.items() if value is not None}
        options: dict[str, Any] = {"params": given} if method == "GET" else {"json": given}
        headers = {"Authorization": f"Bearer {self._token}"}
        try:
            return requests.request(
                method, f"{self.url}/api/v1{path}", headers=headers, timeout=_TIMEOUT_SECONDS, **options
            )
        except requests.RequestException as error:
            raise HeadwayError("SERVER_UNREACHABLE", url=self.url, reason=type(error).__name__) from None


@app_group.command("add")
def add(
    name: Name,
    repository: Annotated[str, typer.Argument(help="https://…, ssh://…, user@host:path, file:///… or a folder.")],
    provider: Annotated[str, typer.Option(help="github, gitlab, gitea or git (polled).")] = "git",
    full_name: Annotated[str, typer.Option(help="owner/name at the provider.")] = "",
    branch: Annotated[list[str] | None, typer.Option(help="Branch or shell pattern; repeatable.")] = None,
    folder: Annotated[str, typer.Option(help="Folder of headway.toml in the repository.")] = "",
    pull_requests: Annotated[str, typer.Option(help="off, same-repository or all (also forks).")] = "same-repository",
    supersede: Annotated[bool, typer.Option(help="A newer commit takes the place of one that waits.")] = True,
    poll: Annotated[float | None, typer.Option(help="Seconds between looks; 0 for never.", min=0)] = None,
    api_base: Annotated[str, typer.Option(help="The provider's API, where it is not the public one.")] = "",
    status_token_env: Annotated[str, typer.Option(help="Server's variable with the token for commit statuses.")] = "",
    credential_env: Annotated[str, typer.Option(help="Server's variable with the token to fetch with.")] = "",
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Register a repository. Without a provider it is polled each minute."""
    client = Client(server, data)
    where = Path(repository)
    made = client.ask(
        "POST",
        "/apps",
        name=name,
        repository=where.resolve().as_uri() if where.is_dir() else repository,
        provider=provider,
        full_name=full_name,
        branches=branch or [],
        folder=folder,
        pull_requests=pull_requests,
        supersede=supersede,
        poll_seconds=poll if poll is not None else (60 if provider == "git" else 0),
        api_base=api_base,
        status_token_env=status_token_env,
        credential_env=credential_env,
    )
    hook = client.ask("GET", f"/apps/{name}/webhook") if provider != "git" else None

    def text(console: Console) -> None:
        console.print(
            f"{name} is registered: {made['repository']}, branches {', '.join(made['branches'])}", markup=False
        )
        if hook:
            console.print(f"webhook {client.url}{hook['path']}  secret {hook['secret']}", markup=False)

    show(Result("app add", {"app": made, "webhook": hook}, text), output)


@app_group.command("set")
def change(
    name: Name,
    repository: Annotated[str | None, typer.Option(help="Another address of the repository.")] = None,
    provider: Annotated[str | None, typer.Option(help="github, gitlab, gitea or git (polled).")] = None,
    full_name: Annotated[str | None, typer.Option(help="owner/name at the provider.")] = None,
    branch: Annotated[list[str] | None, typer.Option(help="Branch or shell pattern; repeatable.")] = None,
    pull_requests: Annotated[str | None, typer.Option(help="off, same-repository or all (also forks).")] = None,
    supersede: Annotated[bool | None, typer.Option(help="A newer commit takes the place of one that waits.")] = None,
    poll: Annotated[float | None, typer.Option(help="Seconds between looks; 0 for never.", min=0)] = None,
    api_base: Annotated[str | None, typer.Option(help="The provider's API, where it is not the public one.")] = None,
    status_token_env: Annotated[str | None, typer.Option(help="Server's variable for commit statuses.")] = None,
    credential_env: Annotated[str | None, typer.Option(help="Server's variable with the token to fetch with.")] = None,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Change how a repository is registered. What is not named stays, its runs and its webhook's secret too."""
    given = {
        "repository": repository,
        "provider": provider,
        "full_name": full_name,
        "branches": branch or None,
        "pull_requests": pull_requests,
        "supersede": supersede,
        "poll_seconds": poll,
        "api_base": api_base,
        "status_token_env": status_token_env,
        "credential_env": credential_env,
    }
    made = Client(server, data).ask("PATCH", f"/apps/{name}", **given)
    show(Result("app set", {"app": made}, lambda console: console.print(f"{name} is changed", markup=False)), output)


@app_group.command("list")
def list_apps(server: ServerUrl = None, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """List the registered applications."""
    found = Client(server, data).ask("GET", "/apps")["apps"]

    def text(console: Console) -> None:
        table = Table("application", "repository", "branches", "provider", "problem", box=None, pad_edge=False)
        for entry in found:
            branches = ", ".join(entry["branches"])
            table.add_row(entry["name"], entry["repository"], branches, entry["provider"], entry["problem"] or "none")
        console.print(table)

    show(Result("app list", {"apps": found}, text), output)


@app_group.command("remove")
def remove(name: Name, server: ServerUrl = None, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """Forget a repository. Its releases and environments stay as they are."""
    done = Client(server, data).ask("DELETE", f"/apps/{name}")
    show(Result("app remove", done, lambda console: console.print(f"{name} was removed", markup=False)), output)


@app_group.command("webhook")
def webhook(name: Name, server: ServerUrl = None, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """Show where the provider sends webhooks to, and the secret it signs them with."""
    client = Client(server, data)
    hook = client.ask("GET", f"/apps/{name}/webhook")
    said = {"url": f"{client.url}{hook['path']}", "secret": hook["secret"]}
    show(
        Result("app webhook", said, lambda c: c.print(f"{said['url']}  secret {said['secret']}", markup=False)), output
    )


@runs_group.command("list")
def list_runs(
    app: Annotated[str | None, typer.Option("--app", help="Of one application only.")] = None,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """List the runs, the newest first."""
    found = Client(server, data).ask("GET", "/runs", app=app)["runs"]

    def text(console: Console) -> None:
        table = Table("run", "application", "commit", "branch", "version", "state", "why", box=None, pad_edge=False)
        for run in found:
            cells = [
                run["app"],
                run["commit"][:12],
                run["branch"],
                run["version"] or "",
                run["state"],
                run["reason"][:80],
            ]
            table.add_row(str(run["id"]), *cells)
        console.print(table)

    show(Result("runs list", {"runs": found}, text), output)


@runs_group.command("start")
def start(
    name: Name,
    ref: Annotated[str, typer.Option("--ref", help="Branch, tag or commit.")],
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Take a commit through the line."""
    _shown("runs start", Client(server, data).ask("POST", f"/apps/{name}/runs", ref=ref), output)


@runs_group.command("rollback")
def rollback(
    name: Name,
    environment: Annotated[str, typer.Argument(help="Environment, as headway.toml names it.")],
    to: Annotated[str | None, typer.Option("--to", help="Version; without it the one before.")] = None,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Bring an environment back to what stood there before."""
    done = Client(server, data).ask("POST", f"/apps/{name}/rollback", environment=environment, to=to)
    _shown("runs rollback", done, output)


@runs_group.command("show")
def show_run(run: RunId, server: ServerUrl = None, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """Show a run: its steps, the tests that failed, the plan that waits for an approval."""
    found = Client(server, data).ask("GET", f"/runs/{run}")

    def text(console: Console) -> None:
        console.print(_line(found), markup=False)
        for step in found["steps"]:
            place = f" [{step['environment']}]" if step["environment"] else ""
            seconds = "" if step["seconds"] is None else f"{step['seconds']:.1f} s"
            said = f"  {step['number']:>3} {step['name']}{place} {step['state']} {seconds} {step['detail']}"
            console.print(said, markup=False)
        for case in found["tests"]:
            if case["outcome"] == "failed":
                console.print(f"  failed: {case['class_name']}.{case['name']}: {case['message']}", markup=False)
        waiting = found["approval"]
        if waiting:
            console.print(waiting["text"], markup=False)
            console.print(f"accept it: headway runs approve {run} --digest {waiting['digest']}", markup=False)

    show(Result("runs show", {"run": found}, text), output)


@runs_group.command("logs")
def logs(
    run: RunId,
    step: Annotated[int | None, typer.Option("--step", help="Number of a step; without it all of them.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run has ended.")] = False,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
) -> None:
    """Print the log of a run."""
    client = Client(server, data)
    offsets: dict[int, int] = {}
    while True:
        found = client.ask("GET", f"/runs/{run}")
        for entry in found["steps"]:
            number = int(entry["number"])
            if step is None or number == step:
                if number not in offsets:
                    sys.stdout.write(f"== {number} {entry['name']} {entry['environment'] or ''}\n")
                offsets[number] = _print_log(client, run, number, offsets.get(number, 0))
        sys.stdout.flush()
        if not follow or found["state"] in ("succeeded", "failed", "refused", "superseded", "cancelled"):
            return
        time.sleep(0.5)


def _print_log(client: Client, run: int, step: int, offset: int) -> int:
    while True:
        page = client.ask("GET", f"/runs/{run}/log/{step}", offset=offset)
        for line in page["lines"]:
            sys.stdout.write(line + "\n")
        if page["next"] == offset:
            return offset
        offset = int(page["next"])


@runs_group.command("cancel")
def cancel(run: RunId, server: ServerUrl = None, data: Data = DEFAULT_DATA, output: Output = Format.TEXT) -> None:
    """End a run: at once, or after the step in which it changes an environment."""
    _shown("runs cancel", Client(server, data).ask("POST", f"/runs/{run}/cancel"), output)


@runs_group.command("retry")
def retry(
    run: RunId,
    from_step: Annotated[int | None, typer.Option("--from-step", help="Number of the step to begin with.")] = None,
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Take an ended run up again, from the step that ended it or from an earlier one."""
    _shown("runs retry", Client(server, data).ask("POST", f"/runs/{run}/retry", from_step=from_step), output)


Digest = Annotated[str, typer.Option("--digest", help="Digest of the plan, as `headway runs show` tells it.")]
Comment = Annotated[str, typer.Option("--comment", help="Why.")]


@runs_group.command("approve")
def approve(
    run: RunId,
    digest: Digest,
    comment: Comment = "",
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Accept exactly the plan of that digest: the run goes on."""
    done = Client(server, data).ask("POST", f"/runs/{run}/approve", digest=digest, comment=comment)
    _decided("runs approve", done, output)


@runs_group.command("reject")
def reject(
    run: RunId,
    digest: Digest,
    comment: Comment = "",
    server: ServerUrl = None,
    data: Data = DEFAULT_DATA,
    output: Output = Format.TEXT,
) -> None:
    """Refuse the plan of that digest: the run ends, and nothing more is deployed."""
    done = Client(server, data).ask("POST", f"/runs/{run}/reject", digest=digest, comment=comment)
    _decided("runs reject", done, output)


def _decided(command: str, done: dict[str, Any], output: Format) -> None:
    said = f"plan {done['digest'][:12]} for {done['environment']}: {done['state']} by {done['decided_by']}"
    show(Result(command, {"approval": done}, lambda console: console.print(said, markup=False)), output)


def _shown(command: str, run: dict[str, Any], output: Format) -> None:
    show(Result(command, {"run": run}, lambda console: console.print(_line(run), markup=False)), output)


def _line(run: dict[str, Any]) -> str:
    what = " ".join(part for part in (run["version"] or "", run["commit"][:12], run["branch"]) if part)
    why = f": {run['reason']}" if run["reason"] else ""
    return f"run {run['id']} of {run['app']} {what} {run['state']}{why}"
