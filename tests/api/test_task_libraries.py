"""Libraries that tasks name: what a driver is asked to install, and what is refused with a reason."""

import base64
from typing import Any

import boto3
import pytest
from databricks.sdk.service import jobs
from moto.server import ThreadedMotoServer

from headway.workspace.runtime.tasks import LocalLibrary, MavenLibrary, PackageLibrary, TaskOutcome
from support.job_making import CLUSTER, create, ended, task
from support.served_workspace import Served


def put(served: Served, path: str, content: bytes) -> None:
    served.client.dbfs.put(path, contents=base64.b64encode(content).decode(), overwrite=True)


def run(served: Served, *libraries: dict[str, Any], **cluster: Any) -> jobs.RunTask:
    more = {"job_cluster_key": None, "new_cluster": cluster} if cluster else {}
    job_id = create(served.client, task("lib", libraries=list(libraries), **more))
    return (ended(served.client, served.client.jobs.run_now(job_id).run_id).tasks or [])[0]


def message(found: jobs.RunTask) -> str:
    assert found.state is not None
    return found.state.state_message or ""


def test_each_kind_of_library_reaches_the_driver(served: Served) -> None:
    put(served, "/a/one.jar", b"first")
    put(served, "/b/one.jar", b"second")
    volume = served.data / "volumes" / "main" / "default" / "libs"
    volume.mkdir(parents=True)
    (volume / "tool-1-py3-none-any.whl").write_bytes(b"a wheel")
    put(served, "/requirements.txt", b"tiny>=1\n/Volumes/main/default/libs/tool-1-py3-none-any.whl\n")
    run(
        served,
        {"jar": "dbfs:/a/one.jar"},
        {"jar": "/dbfs/b/one.jar"},
        {"whl": "/Volumes/main/default/libs/tool-1-py3-none-any.whl"},
        {"pypi": {"package": "tiny==1.0", "repo": "https://example.com/simple"}},
        {"maven": {"coordinates": "a:b:1", "exclusions": ["c:d"]}},
        {"requirements": "dbfs:/requirements.txt"},
    )
    first, second, wheel, package, jars, listed = served.fleet.requests[-1].libraries
    assert isinstance(first, LocalLibrary)
    assert isinstance(second, LocalLibrary)
    assert isinstance(wheel, LocalLibrary)
    assert isinstance(listed, LocalLibrary)
    assert [first.path.read_bytes(), second.path.read_bytes(), wheel.path.read_bytes()] == [
        b"first",
        b"second",
        b"a wheel",
    ]
    assert wheel.path.name == "tool-1-py3-none-any.whl"
    assert package == PackageLibrary("tiny==1.0", "https://example.com/simple")
    assert jars == MavenLibrary("a:b:1", None, ("c:d",))
    assert listed.path.read_text() == f"tiny>=1\n{volume / 'tool-1-py3-none-any.whl'}\n"


def test_a_library_from_s3_is_read_with_the_clusters_keys(served: Served) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
        store = boto3.client("s3", endpoint_url=endpoint, **keys)
        store.create_bucket(Bucket="libs")
        store.put_object(Bucket="libs", Key="x/one.jar", Body=b"from s3")
        names = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
        cluster = {**CLUSTER["new_cluster"], "spark_env_vars": {**names, "AWS_ENDPOINT_URL": endpoint}}  # type: ignore[dict-item]
        run(served, {"jar": "s3://libs/x/one.jar"}, **cluster)
        held = served.fleet.requests[-1].libraries[0]
        assert isinstance(held, LocalLibrary)
        assert held.path.read_bytes() == b"from s3"
        assert "s3://libs/gone.jar cannot be read" in message(run(served, {"jar": "s3://libs/gone.jar"}, **cluster))
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("library", "reason"),
    [
        ({"cran": {"package": "ada"}}, "R is not served"),
        ({"jar": "dbfs:/a", "whl": "dbfs:/b"}, "exactly one of"),
        ({"pypi": {}}, "pypi must have package"),
        ({"maven": {"coordinates": "a:b:1", "repo": "file:///etc"}}, "must be an http or https address"),
        ({"whl": "dbfs:/gone.whl"}, "no file at dbfs:/gone.whl"),
        ({"whl": "/Volumes/../../etc/passwd"}, "relative part"),
    ],
)
def test_a_library_that_cannot_be_names_why_and_fails_the_task(served: Served, library: Any, reason: str) -> None:
    found = run(served, library)
    assert reason in message(found)
    assert found.status is not None
    assert found.status.termination_details is not None
    assert found.status.termination_details.code is jobs.TerminationCodeCode.LIBRARY_INSTALLATION_ERROR


def test_what_a_driver_cannot_install_fails_the_task_too(served: Served) -> None:
    outcome = TaskOutcome(
        "FAILED", "library tiny cannot be installed: no such thing", code="LIBRARY_INSTALLATION_ERROR"
    )
    served.fleet.acts["lib"] = lambda *_: outcome
    found = run(served, {"pypi": {"package": "tiny"}})
    del served.fleet.acts["lib"]
    assert message(found) == "library tiny cannot be installed: no such thing"
    assert found.status is not None
    assert found.status.termination_details is not None
    assert found.status.termination_details.code is jobs.TerminationCodeCode.LIBRARY_INSTALLATION_ERROR
