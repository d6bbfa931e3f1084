"""Libraries of an all-purpose cluster on real Spark: from each place where one may lie, used by a run."""

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import boto3
import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.service.catalog import VolumeType
from databricks.sdk.service.compute import Library, LibraryInstallStatus, PythonPyPiLibrary
from databricks.sdk.service.workspace import ImportFormat
from moto.server import ThreadedMotoServer

from contract.conftest import RealWorkspace
from contract.test_libraries import wheel
from support.served_workspace import until

PROGRAM = """
import first, second, third
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
spark = SparkSession.builder.getOrCreate()
def told(number):
    import first, second, third
    return " ".join([first.version, second.version, third.version])
print(spark.range(1).select(udf(told)("id")).first()[0])
thread = spark._jvm.java.lang.Thread.currentThread()
print(thread.getContextClassLoader().getResource("fourth.txt") is not None)
"""


def archive(name: str, text: str) -> bytes:
    """An egg or JAR with one file."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr(name, text)
    return content.getvalue()


def put(client: WorkspaceClient, path: str, content: bytes) -> None:
    """A file of DBFS."""
    client.dbfs.put(path=path, contents=base64.b64encode(content).decode(), overwrite=True)


@pytest.mark.spark
def test_libraries_from_every_place_reach_a_run_and_one_that_fails_says_why(
    real: RealWorkspace, tmp_path: Path
) -> None:
    client = WorkspaceClient(host=real.url, token=real.token, auth_type="pat")
    do: Any = client.api_client.do
    store = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    store.start()
    try:
        endpoint = "http://{}:{}".format(*store.get_host_and_port())
        keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "us-east-1"}
        s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
        s3.create_bucket(Bucket="libs")
        s3.put_object(Bucket="libs", Key="third.egg", Body=archive("third.py", "version = 'egg of s3'\n"))
        put(client, "dbfs:/libs/fourth.jar", archive("fourth.txt", "4"))
        put(client, "dbfs:/libs/program.py", PROGRAM.encode())
        first, second = (wheel(tmp_path, name, version) for name, version in (("first", "1.0"), ("second", "2.0")))
        client.workspace.mkdirs("/Shared/libs")
        client.workspace.upload(f"/Shared/libs/{first.name}", first.read_bytes(), format=ImportFormat.RAW)
        client.volumes.create("main", "default", "libs", VolumeType.MANAGED)
        client.files.upload(f"/Volumes/main/default/libs/{second.name}", io.BytesIO(second.read_bytes()))
        requirements = f"/Volumes/main/default/libs/{second.name}\n"
        client.files.upload("/Volumes/main/default/libs/requirements.txt", io.BytesIO(requirements.encode()))
        env = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}
        spec = {"spark_version": real.spark_version, "node_type_id": "local.small", "num_workers": 0}
        spec["spark_env_vars"] = {**env, "AWS_ENDPOINT_URL": endpoint}
        cluster_id = str(do("POST", "/api/2.1/clusters/create", body=spec)["cluster_id"])
        asked = [
            Library(whl=f"/Workspace/Shared/libs/{first.name}"),
            Library(requirements="/Volumes/main/default/libs/requirements.txt"),
            Library(egg="s3://libs/third.egg"),
            Library(jar="dbfs:/libs/fourth.jar"),
            Library(egg="s3://libs/gone.egg"),
            Library(pypi=PythonPyPiLibrary("--index-url=x")),
        ]
        client.libraries.install(cluster_id, asked)
        on_the_way = {LibraryInstallStatus.PENDING, LibraryInstallStatus.RESOLVING, LibraryInstallStatus.INSTALLING}

        def told() -> list[Any]:
            found = list(client.libraries.cluster_status(cluster_id))
            return found if not on_the_way & {one.status for one in found} else []

        found = until(told, 180)
        assert [one.library for one in found] == asked
        assert [one.status.value for one in found] == ["INSTALLED"] * 4 + ["FAILED"] * 2, found
        assert "s3://libs/gone.egg cannot be read" in found[4].messages[0]
        assert "is not the name of a package" in found[5].messages[0]
        task: dict[str, Any] = {"task_key": "uses", "existing_cluster_id": cluster_id}
        task |= {"spark_python_task": {"python_file": "dbfs:/libs/program.py"}}

        def ended(*libraries: dict[str, Any]) -> Any:
            body = {"run_name": "libraries", "tasks": [{**task, "libraries": list(libraries)}]}
            run_id = do("POST", "/api/2.2/jobs/runs/submit", body=body)["run_id"]
            until(lambda: client.jobs.get_run(run_id).state.result_state, 120)  # type: ignore[union-attr]
            return client.jobs.get_run_output((client.jobs.get_run(run_id).tasks or [])[0].run_id or 0)

        assert (ended().logs or "").splitlines() == ["1.0 2.0 egg of s3", "True"]
        # A task's own comes with the keys of the cluster that it runs on, and fails it where it cannot be had.
        assert (ended({"egg": "s3://libs/third.egg"}).logs or "").startswith("1.0 2.0 egg of s3")
        assert "s3://libs/gone.egg cannot be read" in (ended({"egg": "s3://libs/gone.egg"}).error or "")
        client.clusters.permanent_delete(cluster_id)
    finally:
        store.stop()
