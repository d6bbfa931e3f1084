"""A CI engine in a process of its own, as users run it, and small applications in real git remotes for it.

The applications' tests and builds are shell commands of some milliseconds; the workspace is one whose drivers run
functions. What is under test is everything between.
"""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import requests

from headway.pipeline.server import find_server
from headway.workspace.runtime.tasks import NotebookTask, TaskRequest
from support.served_workspace import FunctionDriver, Served, until

KEY = "a-key-of-the-server-for-tests"
ENDED = ("succeeded", "failed", "refused", "superseded", "cancelled")
TOML = """
[app]
name = "{name}"
version = "1.0"
spark = "4.3.0"
[store]
url = "${{env.HEADWAY_STORE}}"
[[test]]
name = "unit"
command = "sh test.sh"
junit = ["reports/*.xml"]
[[artifact]]
name = "lib"
kind = "jar"
builder = "command"
command = "sh build.sh"
output = "out/lib.jar"
[environments.stage]
host = "${{env.HEADWAY_STAGE_HOST}}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = "stage-"
[[environments.stage.gates]]
kind = "run"
jobs = ["score"]
[environments.production]
host = "${{env.HEADWAY_STAGE_HOST}}"
token_env = "HEADWAY_STAGE_TOKEN"
prefix = ""
after = "stage"
"""
JOB = """
resources:
  jobs:
    score:
      name: {name}
      tasks:
        - task_key: {name}
          job_cluster_key: main
          spark_jar_task: {{main_class_name: Main, parameters: ["${{release.version}}"]}}
          libraries: [{{jar: "${{artifact.lib.path}}"}}]
      job_clusters:
        - job_cluster_key: main
          new_cluster: {{spark_version: "${{release.spark_version}}", node_type_id: local.small}}
"""
TEST = """
mkdir -p reports
echo "tested" >> "$HOME/tested"
cat > reports/unit.xml <<EOF
<testsuite><testcase classname="Scores" name="add" time="0.1"/></testsuite>
EOF
"""
# A JAR with one class, `Main`, in as few bytes as a class file has.
BUILD = """
mkdir -p out
echo "built" >> "$HOME/built"
python3 - <<EOF
import zipfile
pool = "070002" "0100044d61696e" "070004" "0100106a6176612f6c616e672f4f626a656374"
with zipfile.ZipFile("out/lib.jar", "w") as jar:
    jar.writestr("Main.class", bytes.fromhex("cafebabe000000340005" + pool + "002100010003" + "0000" * 4))
EOF
"""


def copy_files(driver: FunctionDriver, request: TaskRequest, _: Event) -> str:
    """What the deployJar notebook does, without Spark."""
    assert isinstance(request.task, NotebookTask)
    done = []
    for file in json.loads(request.task.parameters["files"]):
        with urllib.request.urlopen(file["source"]) as origin:  # noqa: S310  (a URL that the server itself signed)
            content = origin.read()
        digest = hashlib.sha256(content).hexdigest()
        root = driver.folder
        while not (root / "dbfs").exists():
            root = root.parent
        target = root / "dbfs" / file["target"].removeprefix("dbfs:/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.with_name(f"{target.name}.sha256").write_text(digest)
        done.append({"target": file["target"], "sha256": digest, "size": len(content)})
    return json.dumps(done)


class Remote:
    """An application in a bare repository, with a clone to commit in."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name, self.bare, self.clone = name, folder / f"{name}.git", folder / name
        self.url = self.bare.as_uri()
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(self.bare)], check=True)
        subprocess.run(["git", "clone", "--quiet", str(self.bare), str(self.clone)], check=True, capture_output=True)
        self.write("headway.toml", TOML.format(name=name))
        self.write("jobs/score.yml", JOB.format(name=name))
        self.write("test.sh", TEST)
        self.write("build.sh", BUILD)

    def write(self, path: str, text: str) -> None:
        """Put a file into the work tree."""
        target = self.clone / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def git(self, *arguments: str) -> str:
        """Run git in the clone."""
        own = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        command = ["git", *own, *arguments]
        return subprocess.run(command, cwd=self.clone, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, message: str = "a change", branch: str = "main", *, push: bool = True) -> str:
        """Commit everything, and push it."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        if push:
            self.git("push", "--quiet", "--force", "origin", f"HEAD:{branch}")
        return self.git("rev-parse", "HEAD")


@dataclass
class Ci:
    """A server's process. `variables` and `options` are added to those it needs."""

    folder: Path
    workspace: Served
    options: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None
    workers: "list[subprocess.Popen[bytes]]" = field(default_factory=list)
    url: str = ""
    module: str = "headway.cli"

    def start(self, more: tuple[str, ...] = ()) -> "Ci":
        """Start it and wait until it answers."""
        self.process = self._process("serve", "--port", "0", "--data", str(self.folder / "server"), *more)
        self.url = until(self.ready, 60)
        return self

    def ready(self) -> str | None:
        """Its URL where it answers."""
        assert self.process is not None
        assert self.process.poll() is None, (self.folder / "serve.log").read_text()[-3000:]
        found = find_server(self.folder / "server")
        if found is None:
            return None
        try:
            return found[0] if requests.get(f"{found[0]}/readyz", timeout=5).status_code == 200 else None
        except requests.ConnectionError:
            return None

    def add_worker(self, name: str, more: tuple[str, ...] = ()) -> "subprocess.Popen[bytes]":
        """Start a worker beside the server; it has begun to work `until` its log says so."""
        worker = self._process("worker", "--data", str(self.folder / name), *more, log=name)
        self.workers.append(worker)
        return worker

    def works(self, name: str) -> bool:
        """Whether a worker has begun to."""
        return "headway works as" in (self.folder / f"{name}.log").read_text()

    def _process(self, *command: str, log: str = "serve") -> "subprocess.Popen[bytes]":
        variables = {
            **os.environ,
            "HEADWAY_STAGE_HOST": self.workspace.url,
            "HEADWAY_STAGE_TOKEN": self.workspace.token,
            "HEADWAY_WORKSPACE_HOST": self.workspace.url,
            "HEADWAY_STORE": (self.folder / "store").as_uri(),
            "HEADWAY_SERVER_KEY": KEY,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "NO_COLOR": "1",
            **self.variables,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{log}.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", self.module, command[0], "--no-workspace", *command[1:], *self.options],
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """SIGKILL: it has no time for anything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)

    def close(self) -> None:
        """End everything that was started."""
        for process in [self.process, *self.workers]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()

    def log(self) -> str:
        """What the server logged."""
        return (self.folder / "serve.log").read_text()

    def ask(self, method: str, path: str, token: str | None = None, **fields: Any) -> Any:
        """A call of the API, as the admin unless another token is given."""
        answer = self.raw(method, path, token, **fields)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def raw(self, method: str, path: str, token: str | None = None, **fields: Any) -> requests.Response:
        """The same, whatever the answer is."""
        token = token if token is not None else (self.folder / "server" / "admin-token").read_text().strip()
        options: dict[str, Any] = {"params": fields} if method == "GET" else {"json": fields}
        headers = {"Authorization": f"Bearer {token}"}
        return requests.request(method, f"{self.url}/api/v1{path}", headers=headers, timeout=60, **options)

    def add(self, remote: Remote, **fields: Any) -> dict[str, Any]:
        """Register an application whose remote is looked at only when a webhook comes."""
        given = {"provider": "github", "full_name": f"team/{remote.name}", "branches": ["main"], **fields}
        found: dict[str, Any] = self.ask("POST", "/apps", name=remote.name, repository=remote.url, **given)
        return found

    def push(self, remote: Remote, commit: str, branch: str = "main", **changes: Any) -> requests.Response:
        """What GitHub sends after a push."""
        body = {
            "ref": f"refs/heads/{branch}",
            "after": commit,
            "repository": {"full_name": f"team/{remote.name}"},
            "pusher": {"name": "ann"},
            "head_commit": {"message": "a change\n\nwith more", "author": {"name": "Ann"}},
        }
        return self.hook(remote.name, "push", body, **changes)

    def hook(
        self,
        name: str,
        event: str,
        body: dict[str, Any] | bytes,
        *,
        secret: str | None = None,
        delivery: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> requests.Response:
        """A webhook of GitHub's, signed with the application's secret."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        secret = secret if secret is not None else self.ask("GET", f"/apps/{name}/webhook")["secret"]
        own = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": delivery or str(uuid.uuid4()),
            "X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest(),
            "Content-Type": "application/json",
        }
        url = f"{self.url}/hooks/github/{name}"
        return requests.post(url, data=data, headers={**own, **(headers or {})}, timeout=60)

    def run(self, run_id: int) -> dict[str, Any]:
        """A run with its steps, tests and approval."""
        found: dict[str, Any] = self.ask("GET", f"/runs/{run_id}")
        return found

    def ended(self, run_id: int, seconds: float = 90) -> dict[str, Any]:
        """Wait until a run has ended."""
        return self.reaches(run_id, lambda run: run["state"] in ENDED, seconds)

    def reaches(self, run_id: int, good: Callable[[dict[str, Any]], bool], seconds: float = 90) -> dict[str, Any]:
        """Wait until a run is as wanted."""

        def look() -> dict[str, Any] | None:
            run = self.run(run_id)
            return run if good(run) else None

        found: dict[str, Any] = until(look, seconds)
        return found

    def text(self, run_id: int, step: int) -> str:
        """A step's log."""
        return "\n".join(self.ask("GET", f"/runs/{run_id}/log/{step}")["lines"])

    def times(self, app: str, what: str) -> int:
        """How often an application was `tested` or `built`."""
        found = list(self.folder.glob(f"*/homes/{app}/{what}"))
        return sum(len(path.read_text().splitlines()) for path in found)
