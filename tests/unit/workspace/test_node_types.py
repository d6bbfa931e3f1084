"""Node types from a file, and the driver that is planned and started for a cluster of one."""

import json
from pathlib import Path
from typing import Any

import pytest

from headway.core.errors import HeadwayError
from headway.workspace.catalogue import Catalogue
from headway.workspace.errors import ApiError
from headway.workspace.node_types import parse_node_types, read_node_types
from headway.workspace.runtime import launch
from headway.workspace.runtime.hostjar import make_folders
from headway.workspace.runtime.tasks import DriverSpec, FileRoots, Runtime
from support.clusters import cluster, planning

RUNTIME = Runtime("4.3.x-scala2.13", "4.3", "4.3.0", "2.13", Path("/python"), Path("/spark"), Path("/java"))
FILE = """
[[node_type]]
id = "farm"
master = "spark://10.0.0.5:7077"
memory_mb = 2048
cores = 2
executor_memory_mb = 4096
executor_cores = 4
max_workers = 10
driver_host = "10.0.0.2"
bind_address = "10.0.0.3"
[node_type.spark_conf]
"spark.authenticate" = "true"

[[node_type]]
id = "pods"
master = "k8s://10.0.0.9:6443"
memory_mb = 2048
cores = 2
driver_host = "10.0.0.2"
python = "/usr/bin/python3"
class_path = ["/opt/headway/host.jar"]
[node_type.spark_conf]
"spark.kubernetes.container.image" = "registry.example/spark:4.3.0"
"spark.kubernetes.namespace" = "jobs"

[[node_type]]
id = "hadoop"
master = "yarn"
memory_mb = 2048
cores = 2
driver_host = "10.0.0.2"
hadoop_conf = "/etc/hadoop/conf"

[[node_type]]
id = "big"
master = "local[16]"
memory_mb = 65536
cores = 2
"""


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    """The built-in types and those of the file."""
    (tmp_path / "types.toml").write_text(FILE)
    return Catalogue({RUNTIME.key: RUNTIME}, read_node_types(tmp_path / "types.toml"))


def planned(catalogue: Catalogue, tmp_path: Path, **spec: Any) -> DriverSpec:
    """The driver of a cluster that the catalogue takes."""
    given = {"spark_version": RUNTIME.key, "node_type_id": "farm", "num_workers": 2, **spec}
    catalogue.check(given)
    roots = FileRoots(tmp_path / "dbfs", tmp_path / "workspace", tmp_path / "volumes")
    return planning(catalogue, roots, tmp_path / "clusters")(cluster(given), "own")


def settings(spec: DriverSpec) -> dict[str, str]:
    """Its Spark settings."""
    return launch.settings(spec, Path("/cache/host.jar"))


def test_workers_of_a_standalone_master(catalogue: Catalogue, tmp_path: Path) -> None:
    conf = {"spark.sql.shuffle.partitions": "8", "spark.executor.extraClassPath": "/lib/own.jar"}
    found = settings(planned(catalogue, tmp_path, spark_conf=conf))
    expected = {  # the file, the spec, and what follows from them
        "spark.master": "spark://10.0.0.5:7077",
        "spark.driver.host": "10.0.0.2",
        "spark.driver.bindAddress": "10.0.0.3",
        "spark.executor.memory": "4096m",
        "spark.executor.cores": "4",
        "spark.dynamicAllocation.minExecutors": "2",
        "spark.dynamicAllocation.maxExecutors": "2",
        "spark.executor.extraClassPath": "/cache/host.jar:/lib/own.jar",
        "spark.authenticate": "true",
        "spark.sql.shuffle.partitions": "8",
        "spark.driver.memory": "2048m",
    }
    assert {key: found.get(key) for key in expected} == expected
    scaled = settings(planned(catalogue, tmp_path, num_workers=None, autoscale={"min_workers": 1, "max_workers": 7}))
    assert scaled["spark.dynamicAllocation.minExecutors"] == "1"
    assert scaled["spark.dynamicAllocation.maxExecutors"] == "7"


def test_a_cluster_without_workers_is_its_driver_alone(catalogue: Catalogue, tmp_path: Path) -> None:
    spec = planned(catalogue, tmp_path, num_workers=0)
    assert spec.executors is None
    assert settings(spec)["spark.master"] == "local[2]"
    assert settings(spec)["spark.driver.host"] == "127.0.0.1"
    single = {"spark.master": "local[*]", "spark.databricks.cluster.profile": "singleNode"}
    assert settings(planned(catalogue, tmp_path, num_workers=0, spark_conf=single))["spark.master"] == "local[2]"
    four = planned(catalogue, tmp_path, num_workers=0, spark_conf={"spark.master": "local[4, 2]"})
    assert settings(four)["spark.master"] == "local[4]"
    assert settings(planned(catalogue, tmp_path, node_type_id="big"))["spark.master"] == "local[16]"


def test_kubernetes_and_yarn_get_what_their_client_mode_reads(catalogue: Catalogue, tmp_path: Path) -> None:
    pods = planned(catalogue, tmp_path, node_type_id="pods")
    found = settings(pods)
    assert found["spark.master"] == "k8s://https://10.0.0.9:6443"  # as spark-submit completes it
    assert found["spark.submit.deployMode"] == "client"
    assert found["spark.driver.bindAddress"] == "10.0.0.2"
    assert found["spark.executor.extraClassPath"] == "/opt/headway/host.jar"
    assert found["spark.kubernetes.namespace"] == "jobs"
    assert launch.environment(pods, {})["PYSPARK_PYTHON"] == "/usr/bin/python3"
    yarn = planned(catalogue, tmp_path, node_type_id="hadoop")
    assert (settings(yarn)["spark.master"], settings(yarn)["spark.yarn.isPython"]) == ("yarn", "true")
    assert launch.environment(yarn, {})["HADOOP_CONF_DIR"] == "/etc/hadoop/conf"
    assert launch.classpath(yarn, Path("/cache/host.jar")).endswith(":/etc/hadoop/conf")


def test_no_setting_is_on_the_command_line(catalogue: Catalogue, tmp_path: Path) -> None:
    """Everybody on a machine sees the arguments of its processes."""
    spec = planned(catalogue, tmp_path, spark_conf={"spark.hadoop.fs.s3a.secret.key": "hidden"})
    assert "hidden" not in " ".join(launch.command(spec, Path("/cache/host.jar"), (), 60))
    make_folders(spec, Path("/cache/host.jar"))
    file = spec.folder / "settings.json"
    assert json.loads(file.read_text())["spark.hadoop.fs.s3a.secret.key"] == "hidden"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"spark_conf": {"spark.master": "spark://elsewhere:7077"}}, "the node type decides where Spark works"),
        ({"spark_conf": {"spark.master": "local[*]"}}, "workers from spark://10.0.0.5:7077"),
        ({"node_type_id": "local.small", "spark_conf": {"spark.master": "yarn"}}, "everything in the driver"),
        ({"spark_conf": {"spark.authenticate": "false"}}, "is set by node type farm"),
        ({"spark_conf": {"spark.executor.instances": "50"}}, "num_workers or autoscale"),
        ({"spark_conf": {"spark.dynamicAllocation.enabled": "false"}}, "num_workers or autoscale"),
        ({"num_workers": 11}, "at most 10 workers"),
        ({"autoscale": {"min_workers": 1, "max_workers": 11}}, "at most 10 workers"),
    ],
)
def test_what_the_node_type_decides_is_refused_with_the_reason(
    catalogue: Catalogue, tmp_path: Path, spec: dict[str, Any], why: str
) -> None:
    with pytest.raises(ApiError, match=why):
        planned(catalogue, tmp_path, **spec)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"master": "spark://host"}, "master must be"),
        ({"master": "mesos://host:1"}, "master must be"),
        ({"master": "k8s://https://host"}, "needs an image"),
        ({"master": "yarn"}, "hadoop_conf"),
        ({"memory": 1}, "unknown key memory"),
        ({"cores": "two"}, "cores must be a int"),
        ({"cores": 0}, "at least 1"),
        ({"spark_conf": {"spark.master": "yarn"}}, "the key master"),
        ({"spark_conf": {"spark.x": 1}}, "must be strings"),
    ],
)
def test_a_wrong_file_is_told_whole(entry: dict[str, Any], why: str) -> None:
    found, wrong = parse_node_types(
        {"node_type": [{"id": "a", "memory_mb": 1024, "cores": 2, **entry}, {"id": "b"}], "nodes": 1}
    )
    assert why in "; ".join(wrong)
    assert "unknown key nodes" in wrong
    assert "node type b: missing key memory_mb" in wrong
    assert set(found) == {"local.small", "local.medium", "local.large", "local.xlarge"}


def test_an_unreadable_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "types.toml").write_text("[[node_type\n")
    with pytest.raises(HeadwayError, match="is no file of node types"):
        read_node_types(tmp_path / "types.toml")
