"""The whole line by the command line, on real git, a real workspace and real Spark."""

from collections.abc import Callable

import boto3
import pytest
from databricks.sdk import WorkspaceClient
from moto.server import ThreadedMotoServer

from support.tiny_application import TinyApplication

pytestmark = [pytest.mark.acceptance, pytest.mark.spark]
Make = Callable[[str], TinyApplication]


def outputs(client: WorkspaceClient, name: str) -> list[str]:
    """What the tasks of a job's newest run said."""
    job = next(iter(client.jobs.list(name=name)))
    run = client.jobs.get_run(next(iter(client.jobs.list_runs(job_id=job.job_id))).run_id or 0)
    found = [client.jobs.get_run_output(task.run_id or 0) for task in run.tasks or []]
    return [(out.notebook_output.result if out.notebook_output else out.logs) or "" for out in found]


def test_a_commit_reaches_production_and_is_rolled_back(application: Make, client: WorkspaceClient) -> None:
    app = application("whole")
    first = app.headway("run", "--output", "json")
    assert first.status == 0, first.err
    assert first.data["release"]["version"] == "2.5.1"
    assert outputs(client, "stage-whole") == ["hello stage\n", "told 2.5.1"]

    app.replace("greet/greet.py", "hello", "good day")
    app.replace("tests/test_greet.py", "hello", "good day")
    app.commit("politer")
    second = app.headway("run", "--output", "json")
    assert second.status == 0, second.err
    assert outputs(client, "stage-whole") == ["good day stage\n", "told 2.5.2"]
    production = next(iter(client.jobs.list(name="whole", expand_tasks=True)))
    wheels = [library.whl for task in production.settings.tasks for library in task.libraries or []]  # type: ignore[union-attr]
    assert wheels == ["dbfs:/FileStore/job-jars/whole/greet-2.5.2-py3-none-any.whl"]

    plan = app.headway("plan", "production", "--output", "json").data["plan"]
    assert plan["steps"] == []
    assert plan["unchanged"] == ["greet"]

    back = app.headway("rollback", "production", "--output", "json")
    assert back.status == 0, back.err
    assert back.data["state"]["version"] == "2.5.1"
    production = next(iter(client.jobs.list(name="whole", expand_tasks=True)))
    assert "greet-2.5.1-" in str(production.settings.tasks[0].libraries[0].whl)  # type: ignore[index, union-attr]
    status = {entry["name"]: entry for entry in app.headway("status", "--output", "json").data["environments"]}
    assert status["production"]["state"]["version"] == "2.5.1"
    assert status["stage"]["state"]["version"] == "2.5.2"
    assert status["stage"]["drifted"] == []
    assert [entry["version"] for entry in app.headway("history", "--output", "json").data["releases"]] == [
        "2.5.2",
        "2.5.1",
    ]


def test_a_release_that_fails_on_the_stage_is_taken_back(application: Make, client: WorkspaceClient) -> None:
    app = application("unfit")
    app.replace("greet/greet.py", "def main():", "def main():\n    raise SystemExit('no data for ' + sys.argv[1])")
    app.commit("fails where the data is")
    done = app.headway("run", "--output", "json")
    assert done.status == 3
    assert done.data["error"]["code"] == "GATE_FAILED"
    assert "SystemExit: no data for stage" in done.data["error"]["message"]
    names = {job.settings.name for job in client.jobs.list() if job.settings}
    assert not names & {"stage-unfit", "unfit"}
    assert app.headway("promote", "production").status == 3


def test_two_runs_at_once_are_not_mixed(application: Make) -> None:
    app = application("twice")
    app.replace("tests/test_greet.py", "import greet", "import greet, time; time.sleep(8)")
    app.commit("slow tests")
    first = app.start("release", "--output", "json")
    assert first.stderr is not None
    while "test" not in first.stderr.readline():
        assert first.poll() is None
    second = app.headway("release", "--output", "json")
    first.communicate(timeout=120)
    assert first.returncode == 0
    assert second.status == 3
    assert second.data["error"]["code"] == "ENVIRONMENT_LOCKED"
    assert "the line of twice is locked by" in second.data["error"]["message"]


def test_a_release_goes_from_an_s3_store_to_the_stage_by_presigned_urls(
    application: Make, client: WorkspaceClient
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        session = boto3.Session("test", "test", region_name="us-east-1")
        session.client("s3", endpoint_url=endpoint).create_bucket(Bucket="releases")
        app = application("cloud")
        store = f'url = "s3://releases/team"\nendpoint_url = "{endpoint}"'
        app.replace("headway.toml", 'url = "${env.HEADWAY_STORE}"', store)
        app.commit("another store")
        for command in (["release"], ["deploy", "stage"], ["deploy", "stage"]):
            done = app.headway(*command, "--output", "json", **keys)
            assert done.status == 0, done.err
        assert done.data["state"]["version"] == "2.5.1"
        path = "dbfs:/FileStore/job-jars/cloud/greet-2.5.1-py3-none-any.whl"
        body = session.client("s3", endpoint_url=endpoint).get_object(
            Bucket="releases", Key="team/cloud/releases/2.5.1/greet-2.5.1-py3-none-any.whl"
        )["Body"]
        with client.dbfs.download(path) as copied:
            assert copied.read() == body.read()
    finally:
        server.stop()
