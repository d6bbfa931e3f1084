"""`s3a://` where the runtime's option is installed: Python, JAR and notebook runs and boto3 see the very same bytes.

The server is moto's, on loopback; the option comes from Maven Central by the product's own command, into a cache of its
own, so that no other driver has it on its class path.
"""

import os
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from contract.conftest import every_client
from headway.adapters.spark import installed_spark
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.installing import installed
from headway.workspace.runtime.tasks import (
    DriverSpec,
    FileRoots,
    JarTask,
    LocalLibrary,
    NotebookTask,
    PythonFileTask,
    Runtime,
    Task,
    TaskRequest,
)

PROGRAM = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
place = sys.argv[1]
print("read", spark.read.text(place + "/in.txt").collect()[0][0])
spark.range(0, 100, 1, 2).write.parquet(place + "/python.parquet")
print("rows", spark.read.parquet(place + "/python.parquet").count())
spark.read.format("binaryFile").load(place + "/in.bin").select("content").foreach(lambda row: None)
content = spark.read.format("binaryFile").load(place + "/in.bin").first().content
print("bytes", bytes(content).hex())
"""
NOTEBOOK = """# Databricks notebook source
place = dbutils.widgets.get("place")
spark.createDataFrame([("by a notebook",)], "line string").coalesce(1).write.text(place + "/notebook")

# COMMAND ----------

dbutils.notebook.exit(spark.read.text(place + "/notebook").first()[0])
"""
JAR = """
package far
import java.nio.charset.StandardCharsets.UTF_8
import org.apache.hadoop.fs.Path
import org.apache.spark.sql.SparkSession
object Main { def main(arguments: Array[String]): Unit = {
  val spark = SparkSession.builder().getOrCreate()
  val place = arguments(0)
  println("sum " + spark.read.parquet(place + "/python.parquet").selectExpr("sum(id)").first().getLong(0))
  val path = new Path(place + "/jar.txt")
  val out = path.getFileSystem(spark.sparkContext.hadoopConfiguration).create(path)
  try out.write("by a JAR".getBytes(UTF_8)) finally out.close()
}}
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an S3 server."""
    made = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    made.start()
    host, port = made.get_host_and_port()
    yield f"http://{host}:{port}"
    made.stop()


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runtime, Path]:
    """The default runtime with the option, and its cache: `HEADWAY_TEST_S3A_CACHE`, else a new one."""
    given = os.environ.get("HEADWAY_TEST_S3A_CACHE")
    cache = Path(given) if given else tmp_path_factory.mktemp("cache")
    line = ".".join(installed_spark().version.split(".")[:2])
    command = [sys.executable, "-m", "headway.cli", "workspace", "runtime", "install", line, "--with", "s3a"]
    subprocess.run(command, check=True, env={**os.environ, "HEADWAY_CACHE": str(cache)})
    return installed(cache)[installed_spark().key], cache


@pytest.fixture(scope="module")
def driver(server: str, runtime: tuple[Runtime, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """A driver that knows the server."""
    base = tmp_path_factory.mktemp("s3a")
    conf = {
        "spark.hadoop.fs.s3a.endpoint": server,
        "spark.hadoop.fs.s3a.endpoint.region": "us-east-1",
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
        "spark.hadoop.fs.s3a.aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
    }
    roots = FileRoots(base / "dbfs", base / "workspace", base / "volumes")
    found = Driver.start(DriverSpec("s3a", runtime[0], base / "own", roots, quick=True, spark_conf=conf), runtime[1])
    yield found
    found.stop()


@pytest.fixture
def bucket(server: str) -> Any:
    """A bucket, by boto3."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    made = boto3.Session(**keys).resource("s3", endpoint_url=server).Bucket(f"data-{uuid.uuid4().hex[:8]}")
    made.create()
    return made


def jar(folder: Path, runtime: Runtime) -> Path:
    """The Scala program, compiled."""
    (folder / "Main.scala").write_text(JAR)
    (folder / "classes").mkdir()
    command = [str(runtime.java_home / "bin" / "java"), "-Xss8m", "-XX:TieredStopAtLevel=1"]
    command += ["-cp", f"{runtime.spark_home}/jars/*", "scala.tools.nsc.Main", "-usejavacp", "-d"]
    subprocess.run([*command, str(folder / "classes"), str(folder / "Main.scala")], check=True)
    with zipfile.ZipFile(folder / "far.jar", "w") as archive:
        for path in (folder / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(folder / "classes").as_posix())
    return folder / "far.jar"


def runs_and_boto3_see_the_same_bytes(
    driver: Driver, runtime: tuple[Runtime, Path], bucket: Any, tmp_path: Path
) -> None:
    """Each writes what another reads."""
    place, blob = f"s3a://{bucket.name}/some/place", os.urandom(300_000)

    def run(name: str, task: Task, *libraries: LocalLibrary) -> tuple[str, str | None]:
        log = tmp_path / f"{name}.log"
        outcome = driver.run(TaskRequest(name, task, libraries, log, {"task_key": name}))
        assert outcome.state == "SUCCESS", log.read_text()
        return log.read_text(), outcome.notebook_result

    def key(name: str) -> bytes:
        return bytes(bucket.Object(f"some/place/{name}").get()["Body"].read())

    bucket.put_object(Key="some/place/in.txt", Body=b"by boto3\n")
    bucket.put_object(Key="some/place/in.bin", Body=blob)
    (tmp_path / "program.py").write_text(PROGRAM)
    said, _ = run("python", PythonFileTask(tmp_path / "program.py", (place,)))
    assert said.splitlines() == ["read by boto3", "rows 100", f"bytes {blob.hex()}"]
    said, _ = run("jar", JarTask("far.Main", (place,)), LocalLibrary("jar", jar(tmp_path, runtime[0])))
    assert said == "sum 4950\n"
    assert key("jar.txt") == b"by a JAR"
    _, result = run("notebook", NotebookTask("/Shared/n", "PYTHON", NOTEBOOK, {"place": place}))
    assert result == "by a notebook"
    names = [entry.key for entry in bucket.objects.filter(Prefix="some/place/notebook/part-")]
    assert [bytes(bucket.Object(name).get()["Body"].read()) for name in names] == [b"by a notebook\n"]


# The JARs come from Maven Central, and the cache's own driver host is compiled: CI does it, and whoever asks for it.
if every_client():
    test_runs_and_boto3_see_the_same_bytes = pytest.mark.spark(runs_and_boto3_see_the_same_bytes)
