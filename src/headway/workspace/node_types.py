"""Node types: how big a cluster's driver is, and where the work of its Spark is done. Pure but for `read_node_types`.

Those of this machine are built in. Others come from a TOML file (`headway workspace start --node-types FILE`, or
`node-types.toml` in the workspace's data folder), each with the Spark master that its executors come from:

    [[node_type]]
    id = "farm.medium"
    master = "spark://10.0.0.5:7077"      # or local[4], k8s://https://10.0.0.9:6443, yarn
    memory_mb = 2048                      # of the driver
    cores = 2                             # of the driver, for clusters without workers
    executor_memory_mb = 4096
    executor_cores = 4
    driver_host = "10.0.0.2"              # where executors reach the driver
    [node_type.spark_conf]
    "spark.authenticate" = "true"

`docs/scaling.md` tells of each master.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from headway.core.errors import HeadwayError
from headway.workspace.runtime.tasks import Executors

_MASTERS = {"local": "Local", "spark": "Standalone", "k8s": "Kubernetes", "yarn": "YARN"}
_IMAGES = ("spark.kubernetes.container.image", "spark.kubernetes.executor.container.image")


@dataclass(frozen=True)
class NodeType:
    """A size of driver: heap in MB and the cores its Spark uses. `quick` ones start with half the CPU, and are meant
    for tests and small data (see `DriverSpec.quick`).

    `master` is the Spark master that a cluster's workers come from; empty where the driver does everything. A cluster
    without workers is its driver alone on every node type. `executor_*` are the size of a worker, `max_workers` how
    many a cluster may have (0: any number). `driver_host` is the address by which workers reach the driver, which
    listens on `bind_address` (the same where it is empty). `python` and `class_path` are where workers have Python,
    and the JARs of the driver host: the driver's own paths where they are not given. `hadoop_conf` is the folder with
    YARN's configuration. `spark_conf` holds for every cluster of the type; one that sets another value is refused.
    """

    node_type_id: str
    memory_mb: int
    cores: int
    quick: bool = False
    master: str = ""
    executor_memory_mb: int = 1024
    executor_cores: int = 1
    max_workers: int = 0
    driver_host: str = "127.0.0.1"
    bind_address: str = ""
    python: str = ""
    class_path: tuple[str, ...] = ()
    hadoop_conf: str = ""
    spark_conf: Mapping[str, str] = field(default_factory=dict)

    @property
    def category(self) -> str:
        """As `Local`, `Standalone`."""
        return _MASTERS[_kind(self.master)] if self.master else "Local"

    @property
    def has_executors(self) -> bool:
        """Whether clusters of the type can have workers of their own."""
        return self.category != "Local"

    def executors(self, spec: Mapping[str, Any]) -> Executors | None:
        """The workers of a cluster: as many as its spec says; None where its driver does everything."""
        least, most = worker_bounds(spec)
        if not self.has_executors or most == 0:
            return None
        return Executors(
            master=self.master,
            least=least,
            most=most,
            memory_mb=self.executor_memory_mb,
            cores=self.executor_cores,
            driver_host=self.driver_host,
            bind_address=self.bind_address or self.driver_host,
            python=self.python,
            class_path=self.class_path,
            hadoop_conf=self.hadoop_conf,
        )

    def to_json(self) -> dict[str, Any]:
        """As `list-node-types` answers it."""
        where = f"workers from {self.master}" if self.has_executors else "on this machine"
        purpose = "; starts quickly, for tests and small data" if self.quick else ""
        return {
            "node_type_id": self.node_type_id,
            "memory_mb": self.executor_memory_mb if self.has_executors else self.memory_mb,
            "num_cores": float(self.executor_cores if self.has_executors else self.cores),
            "description": f"{self.memory_mb} MB, {self.cores} cores, {where}" + purpose,
            "instance_type_id": self.node_type_id,
            "category": self.category,
            "is_deprecated": False,
        }


NODE_TYPES = (
    NodeType("local.small", 1024, 2, quick=True),
    NodeType("local.medium", 2048, 2),
    NodeType("local.large", 4096, 4),
    NodeType("local.xlarge", 8192, 8),
)


def worker_bounds(spec: Mapping[str, Any]) -> tuple[int, int]:
    """The fewest and the most workers that a cluster is asked to have."""
    scale = spec.get("autoscale")
    if isinstance(scale, Mapping):
        return int(scale.get("min_workers", 0)), int(scale["max_workers"])
    return (int(spec.get("num_workers") or 0),) * 2


def read_node_types(file: Path) -> dict[str, NodeType]:
    """The built-in node types and those of a file, which may take the place of built-in ones.

    Raise HeadwayError NODE_TYPES_WRONG with all that is wrong.
    """
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HeadwayError("NODE_TYPES_WRONG", file=file, reason=str(error)) from None
    found, wrong = parse_node_types(said)
    if wrong:
        raise HeadwayError("NODE_TYPES_WRONG", file=file, reason="; ".join(wrong))
    return found


def parse_node_types(said: Mapping[str, Any]) -> tuple[dict[str, NodeType], list[str]]:
    """The node types of a file's content, the built-in ones first; and what is wrong with it."""
    found = {size.node_type_id: size for size in NODE_TYPES}
    wrong = [f"unknown key {key}" for key in said if key != "node_type"]
    entries = said.get("node_type", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return found, [*wrong, "node_type must be tables: [[node_type]]"]
    seen: set[str] = set()
    for number, entry in enumerate(entries, 1):
        name = str(entry.get("id", f"number {number}"))
        problems = _problems(entry)
        if name in seen:
            problems.append("another one has the same id")
        seen.add(name)
        wrong += [f"node type {name}: {problem}" for problem in problems]
        if not problems:
            given = {key: value for key, value in entry.items() if key != "id"}
            given["class_path"] = tuple(given.get("class_path", ()))
            given["master"] = _master(given.get("master", ""), given)
            found[name] = NodeType(name, **given)
    return found, wrong


_KEYS: dict[str, type] = {
    "id": str,
    **{entry.name: type(entry.default) for entry in fields(NodeType) if not callable(entry.default)},
    **{"memory_mb": int, "cores": int, "class_path": list, "spark_conf": dict},
}
_KEYS.pop("node_type_id")


def _problems(entry: Mapping[str, Any]) -> list[str]:
    found = [f"unknown key {key}" for key in entry if key not in _KEYS]
    found += [f"missing key {key}" for key in ("id", "memory_mb", "cores") if key not in entry]
    for key, kind in _KEYS.items():
        if key in entry and type(entry[key]) is not kind:
            found.append(f"{key} must be a {kind.__name__}")
    if found:
        return found
    for key in ("memory_mb", "cores", "executor_memory_mb", "executor_cores"):
        if entry.get(key, 1) < 1:
            found.append(f"{key} must be at least 1")
    conf, master = entry.get("spark_conf", {}), entry.get("master", "")
    if not all(isinstance(value, str) for value in conf.values()):
        found.append("the values of spark_conf must be strings")
    if "spark.master" in conf:
        found.append("spark.master is the key master")
    if not all(isinstance(path, str) for path in entry.get("class_path", [])):
        found.append("class_path must be strings")
    return found + _master_problems(master, conf, entry)


def _master_problems(master: str, conf: Mapping[str, str], entry: Mapping[str, Any]) -> list[str]:
    if not master:
        return []
    known = r"local(\[\d+\])?|spark://[^\s/,:]+:\d+(,[^\s/,:]+:\d+)*|k8s://\S+|yarn"
    if not re.fullmatch(known, master):
        return [f"master must be local[N], spark://HOST:PORT, k8s://https://HOST:PORT or yarn, not {master}"]
    if master.startswith("k8s:") and not any(name in conf for name in _IMAGES):
        return [f"a Kubernetes master needs an image in spark_conf: {_IMAGES[0]}"]
    if master == "yarn" and not entry.get("hadoop_conf"):
        return ["yarn needs hadoop_conf, the folder with core-site.xml and yarn-site.xml"]
    return []


def _kind(master: str) -> str:
    return re.split(r"[:\[]", master, maxsplit=1)[0]


def _master(master: str, given: dict[str, Any]) -> str:
    """As a driver takes it: `local[N]` is the driver's cores; an address of Kubernetes has its scheme, as spark-submit
    would give it (Utils.checkAndGetK8sMasterUrl)."""
    match = re.fullmatch(r"local\[(\d+)\]", master)
    if match:
        given["cores"] = int(match.group(1))
        return ""
    if master.startswith("k8s://") and "://" not in master.removeprefix("k8s://"):
        return "k8s://https://" + master.removeprefix("k8s://")
    return "" if master == "local" else master
