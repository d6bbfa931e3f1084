"""Runs on Spark as a client sees them: warm, on a fresh job cluster and on a pool, beside `spark-submit` of the same.

All in one workspace and one run of this program; the node type is the same for all, and `spark-submit` gets its memory
and cores. A run is timed from the request to TERMINATED, by the official client, which asks every 20 ms.
`local.small` is a quick node type (`DriverSpec.quick`); `spark-submit` runs as it comes, with no class archive.
"""

import json
import os
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ImportFormat, Language

from bench.rows import Row
from headway.adapters.java import SPARK_OPTIONS
from headway.workspace.process import start, stop
from headway.workspace.runtime.runtimes import default_runtime
from headway.workspace.runtime.tasks import Runtime
from headway.workspace.settings import WorkspaceSettings

SIZE, MEMORY_MB, CORES = "local.small", 1024, 2
WARM, RUNS, AT_ONCE = 5, 200, 8
SCALA = """
package bench
import org.apache.spark.sql.SparkSession
object Main {
  def main(arguments: Array[String]): Unit = {
    val spark = SparkSession.builder().getOrCreate()
    println(spark.range(1000).selectExpr("sum(id)").first().getLong(0))
  }
}
"""
PYTHON = """from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
print(spark.range(1000).selectExpr("sum(id)").first()[0])
"""


def measure(say: Callable[[str], None]) -> list[Row]:
    """Serve a workspace of its own, measure, and end it."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = WorkspaceSettings(data=Path(folder) / "data", port=0, standby=0)
        runtime = default_runtime(settings.cache)
        say("bench: a JAR, a Python file and a notebook by spark-submit")
        jar = _jar(Path(folder), runtime)
        program = Path(folder) / "program.py"
        program.write_text(PYTHON)
        cold = {"jar": _submit(runtime, "--class", "bench.Main", str(jar)), "python": _submit(runtime, str(program))}
        served = start(settings)
        assert served.url is not None and served.token_file is not None  # noqa: PT018
        try:
            client = WorkspaceClient(host=served.url, token=served.token_file.read_text(), auth_type="pat")
            return _Bench(client, settings.data, runtime.key, jar, cold, say).rows()
        finally:
            stop(settings.data)


class _Bench:
    def __init__(
        self,
        client: WorkspaceClient,
        data: Path,
        key: str,
        jar: Path,
        cold: dict[str, float],
        say: Callable[[str], None],
    ) -> None:
        self.api, self.data, self.cold, self.say = client.api_client, data, cold, say
        (data / "dbfs").mkdir(exist_ok=True)
        (data / "dbfs" / "bench.jar").write_bytes(jar.read_bytes())
        (data / "dbfs" / "bench.py").write_text(PYTHON)
        client.workspace.upload("/Shared/bench", PYTHON.encode(), format=ImportFormat.SOURCE, language=Language.PYTHON)
        self.small = {"spark_version": key, "node_type_id": SIZE, "num_workers": 0}
        self.key = key
        self.tasks: dict[str, dict[str, Any]] = {
            "jar": {"spark_jar_task": {"main_class_name": "bench.Main"}, "libraries": [{"jar": "dbfs:/bench.jar"}]},
            "python": {"spark_python_task": {"python_file": "dbfs:/bench.py"}},
            "notebook": {"notebook_task": {"notebook_path": "/Shared/bench"}},
        }

    def rows(self) -> list[Row]:
        self.say("bench: the same on a job cluster of its own")
        job_cluster = self.run({"new_cluster": self.small, **self.tasks["jar"]})
        self.say("bench: the same on a warm cluster")
        cluster_id = str(self.api.do("POST", "/api/2.1/clusters/create", body=self.small)["cluster_id"])
        on = {"existing_cluster_id": cluster_id}
        warm = {}
        for kind, task in self.tasks.items():
            self.run({**on, **task})
            warm[kind] = sorted(self.run({**on, **task}) for _ in range(WARM))[WARM // 2]
        self.say(f"bench: {RUNS} runs, {AT_ONCE} at a time, on one cluster")
        taken, latencies, before, after = self.many({**on, **self.tasks["jar"]}, cluster_id)
        self.api.do("POST", "/api/2.1/clusters/delete", body={"cluster_id": cluster_id})
        self.say("bench: on a pool")
        pool = self.pool()
        return [
            *(self.beside(f"warm_{kind}_vs_cold_submit", warm[kind], kind) for kind in self.tasks),
            Row(
                "job_cluster_vs_cold_submit",
                job_cluster,
                "s",
                "spark-submit of the same JAR",
                job_cluster / self.cold["jar"],
                "a fresh job cluster is no slower",
                job_cluster <= self.cold["jar"],
            ),
            Row(
                "pool_start_s",
                pool,
                "s",
                "a fresh job cluster, run-now to TERMINATED",
                pool / job_cluster,
                "the whole run within 1.5 s",
                pool <= 1.5,
            ),
            Row(
                "runs_per_s",
                RUNS / taken,
                "1/s",
                f"spark-submit one after the other; p50 {latencies[0]:.2f} s, p99 {latencies[1]:.2f} s",
                RUNS / taken * self.cold["jar"],
                "at least 2 per second",
                RUNS / taken >= 2,
            ),
            Row(
                "host_memory_growth_mb",
                after - before,
                "MB",
                f"the driver's memory after {RUNS // 4} of {RUNS} runs",
                (after - before) / before,
                "at most 100 MB",
                after - before <= 100,
            ),
        ]

    def beside(self, name: str, value: float, kind: str) -> Row:
        """A warm run beside the cold one; a notebook beside the Python file with the same text."""
        cold = self.cold["python" if kind == "notebook" else kind]
        return Row(
            name,
            value,
            "s",
            f"spark-submit: {cold:.1f} s",
            value / cold,
            "at least 10 times faster",
            value * 10 <= cold,
        )

    def run(self, task: dict[str, Any]) -> float:
        """Seconds of a run, from the request to its end. Raise RuntimeError where it fails."""
        began = time.monotonic()
        body = {"run_name": "bench", "tasks": [{"task_key": "t", **task}]}
        run_id = self.api.do("POST", "/api/2.2/jobs/runs/submit", body=body)["run_id"]
        while True:
            state: Any = self.api.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})["state"]
            if state.get("result_state"):
                break
            time.sleep(0.02)
        if state["result_state"] != "SUCCESS":
            raise RuntimeError(f"bench: a run failed: {state}")
        return time.monotonic() - began

    def many(self, task: dict[str, Any], cluster_id: str) -> tuple[float, tuple[float, float], float, float]:
        """Seconds of all runs, p50 and p99 of one, and the driver's memory after a quarter of them and at the end."""
        (folder,) = [one for one in (self.data / "clusters").iterdir() if one.name.startswith(cluster_id)]
        pid = int(json.loads((folder / "driver.json").read_text())["pid"])
        began = time.monotonic()
        with ThreadPoolExecutor(AT_ONCE) as threads:
            times = list(threads.map(lambda _: self.run(task), range(RUNS // 4)))
            before = _memory_mb(pid)
            times += threads.map(lambda _: self.run(task), range(RUNS - RUNS // 4))
        taken, after = time.monotonic() - began, _memory_mb(pid)
        times.sort()
        return taken, (times[len(times) // 2], times[int(len(times) * 0.99)]), before, after

    def pool(self) -> float:
        """Seconds of a run on a job cluster of a pool with one driver ready; the middle of three."""
        spec = {"instance_pool_name": "bench", "node_type_id": SIZE, "min_idle_instances": 1}
        spec |= {"idle_instance_autotermination_minutes": 0}
        pool_id = self.api.do("POST", "/api/2.0/instance-pools/create", body=spec)["instance_pool_id"]
        cluster = {"spark_version": self.key, "instance_pool_id": pool_id, "num_workers": 0}
        found = []
        for _ in range(3):
            while True:
                told: Any = self.api.do("GET", "/api/2.0/instance-pools/get", query={"instance_pool_id": pool_id})
                if told["stats"]["idle_count"] and not told["stats"]["used_count"]:
                    break
                time.sleep(0.05)
            found.append(self.run({"new_cluster": cluster, **self.tasks["jar"]}))
        return sorted(found)[1]


def _jar(folder: Path, runtime: Runtime) -> Path:
    (folder / "Main.scala").write_text(SCALA)
    (folder / "classes").mkdir()
    command = [str(runtime.java_home / "bin" / "java"), "-Xss8m", "-XX:TieredStopAtLevel=1", "-cp"]
    command += [f"{runtime.spark_home}/jars/*", "scala.tools.nsc.Main", "-usejavacp", "-d", str(folder / "classes")]
    subprocess.run([*command, str(folder / "Main.scala")], check=True)
    with zipfile.ZipFile(folder / "bench.jar", "w") as archive:
        for path in (folder / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(folder / "classes").as_posix())
    return folder / "bench.jar"


def _submit(runtime: Runtime, *words: str) -> float:
    """Seconds of `spark-submit`, with the memory and cores of the node type; the better of two."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    environment |= {"JAVA_HOME": str(runtime.java_home), "SPARK_HOME": str(runtime.spark_home)}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(runtime.python)}
    command = [str(runtime.spark_home / "bin" / "spark-submit"), "--master", f"local[{CORES}]"]
    command += ["--driver-memory", f"{MEMORY_MB}m", "--driver-java-options", " ".join(SPARK_OPTIONS)]
    found = []
    for _ in range(2):
        began = time.monotonic()
        subprocess.run([*command, *words], env=environment, check=True, capture_output=True)
        found.append(time.monotonic() - began)
    return min(found)


def _memory_mb(pid: int) -> float:
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024
