"""Runs on Spark as a client sees them: warm, on a fresh job cluster and on a pool, beside `spark-submit` of the same.

All in one run of this program; the node type is the same for all, and `spark-submit` gets its memory and cores. A run
is timed from the request to TERMINATED, by the official client, which asks every 20 ms. `local.small` is a quick node
type (`DriverSpec.quick`); `spark-submit` runs as it comes, with no class archive.

HEADWAY_BENCH_RUNS is the number of runs for throughput and memory (200).
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.workspace import ImportFormat, Language

from bench.rows import Row, table
from headway.adapters.java import SPARK_OPTIONS
from headway.workspace.process import start, stop
from headway.workspace.runtime.hostjar import prepare
from headway.workspace.runtime.runtimes import default_runtime
from headway.workspace.runtime.tasks import Runtime
from headway.workspace.settings import WorkspaceSettings

SIZE, MEMORY_MB, CORES = "local.small", 1024, 2
WARM, AT_ONCE = 5, 8
RUNS = int(os.environ.get("HEADWAY_BENCH_RUNS", "200"))
# What the many runs are, one after the other.
MIXED = ("jar", "python", "jar", "wheel")
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
WHEEL_MODULE = """def main():
    from pyspark.sql import SparkSession
    spark = SparkSession.builder.getOrCreate()
    print(spark.range(1000).selectExpr("sum(id)").first()[0])
"""


def measure(say: Callable[[str], None]) -> list[Row]:
    """Serve workspaces of its own, measure, and end them."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        settings = WorkspaceSettings(data=folder / "data", port=0, standby=0)
        runtime = default_runtime(settings.cache)
        prepare(runtime, settings.cache, say)
        say("bench: a JAR, a Python file and a wheel by spark-submit")
        files = _Files(_jar(folder, runtime), folder / "bench.py", _wheel(folder))
        files.program.write_text(PYTHON)
        (folder / "runner.py").write_text("import bench_wheel\nbench_wheel.main()\n")
        cold = {
            "jar": min(_submit(runtime, "--class", "bench.Main", str(files.jar)) for _ in range(2)),
            "python": _submit(runtime, str(files.program)),
            "wheel": _submit(runtime, "--py-files", str(files.wheel), str(folder / "runner.py")),
        }
        with _served(settings) as client:
            rows = _Bench(client, settings.data, runtime.key, files, cold, say).rows()
        say("bench: a job cluster without the archive of classes")
        bare = WorkspaceSettings(
            data=folder / "bare", port=0, standby=0, cache=_cache_without_archive(folder, settings)
        )
        with _served(bare) as client:
            slow = _Bench(client, bare.data, runtime.key, files, cold, say).job_cluster()
        fast = next(row for row in rows if row.name == "job_cluster_vs_cold_submit").value
        goal = "the archive makes a job cluster quicker"
        against = "a job cluster with the archive of classes"
        return [*rows, Row("job_cluster_without_archive_s", slow, "s", against, slow / fast, goal, fast < slow)]


@dataclass(frozen=True)
class _Files:
    jar: Path
    program: Path
    wheel: Path


@contextmanager
def _served(settings: WorkspaceSettings) -> Iterator[WorkspaceClient]:
    served = start(settings)
    assert served.url is not None and served.token_file is not None  # noqa: PT018
    try:
        yield WorkspaceClient(host=served.url, token=served.token_file.read_text(), auth_type="pat")
    finally:
        stop(settings.data)


def _cache_without_archive(folder: Path, settings: WorkspaceSettings) -> Path:
    """A cache with the same compiled host, and the mark of a Java that cannot archive classes (an empty archive)."""
    jar = prepare(default_runtime(settings.cache), settings.cache).jar
    own = folder / "cache" / "hosts" / jar.parent.name
    own.mkdir(parents=True)
    shutil.copyfile(jar, own / jar.name)
    (own / "classes.jsa").touch()
    return folder / "cache"


class _Bench:
    def __init__(
        self,
        client: WorkspaceClient,
        data: Path,
        key: str,
        files: _Files,
        cold: dict[str, float],
        say: Callable[[str], None],
    ) -> None:
        self.api, self.data, self.cold, self.say = client.api_client, data, cold, say
        (data / "dbfs").mkdir(exist_ok=True)
        for file in (files.jar, files.program, files.wheel):
            shutil.copyfile(file, data / "dbfs" / file.name)
        client.workspace.upload("/Shared/bench", PYTHON.encode(), format=ImportFormat.SOURCE, language=Language.PYTHON)
        self.small = {"spark_version": key, "node_type_id": SIZE, "num_workers": 0}
        self.key = key
        self.tasks: dict[str, dict[str, Any]] = {
            "jar": {"spark_jar_task": {"main_class_name": "bench.Main"}, "libraries": [{"jar": "dbfs:/bench.jar"}]},
            "python": {"spark_python_task": {"python_file": "dbfs:/bench.py"}},
            "wheel": {
                "python_wheel_task": {"package_name": "bench_wheel", "entry_point": "start"},
                "libraries": [{"whl": f"dbfs:/{files.wheel.name}"}],
            },
            "notebook": {"notebook_task": {"notebook_path": "/Shared/bench"}},
        }

    def rows(self) -> list[Row]:
        self.say("bench: the same on a job cluster of its own")
        job_cluster = self.job_cluster()
        self.say("bench: the same on a warm cluster")
        cluster_id = str(self.api.do("POST", "/api/2.1/clusters/create", body=self.small)["cluster_id"])
        on = {"existing_cluster_id": cluster_id}
        warm = {}
        for kind, task in self.tasks.items():
            self.run({**on, **task})
            warm[kind] = sorted(self.run({**on, **task}) for _ in range(WARM))[WARM // 2]
        self.say(f"bench: {RUNS} runs, {AT_ONCE} at a time, on one cluster")
        taken, latencies, before, after = self.many([{**on, **self.tasks[kind]} for kind in MIXED], cluster_id)
        self.api.do("POST", "/api/2.1/clusters/delete", body={"cluster_id": cluster_id})
        self.say("bench: on a pool")
        pool_start, pool_run = self.pool()
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
                pool_start,
                "s",
                "a fresh job cluster, run-now to TERMINATED",
                pool_start / job_cluster,
                "a run on a pool has its driver within 0.5 s of the request",
                pool_start <= 0.5,
            ),
            Row(
                "pool_run_s",
                pool_run,
                "s",
                "a fresh job cluster, run-now to TERMINATED",
                pool_run / job_cluster,
                "the whole run, the first on its driver, within 1.5 s",
                pool_run <= 1.5,
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

    def job_cluster(self) -> float:
        """Seconds of the run of a JAR on a job cluster of its own; the better of two."""
        return min(self.run({"new_cluster": self.small, **self.tasks["jar"]}) for _ in range(2))

    def run(self, task: dict[str, Any]) -> float:
        """Seconds of a run, from the request to its end. Raise RuntimeError where it fails."""
        return self.told(task)[0]

    def told(self, task: dict[str, Any]) -> tuple[float, dict[str, Any]]:
        """The same, and the run of its task."""
        began = time.monotonic()
        body = {"run_name": "bench", "tasks": [{"task_key": "t", **task}]}
        run_id = self.api.do("POST", "/api/2.2/jobs/runs/submit", body=body)["run_id"]
        while True:
            run: Any = self.api.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": run_id})
            if run["state"].get("result_state"):
                break
            time.sleep(0.02)
        if run["state"]["result_state"] != "SUCCESS":
            output: Any = self.api.do(
                "GET", "/api/2.2/jobs/runs/get-output", query={"run_id": run["tasks"][0]["run_id"]}
            )
            raise RuntimeError(f"bench: a run failed: {run['state']} {output.get('error_trace', '')}")
        return time.monotonic() - began, run["tasks"][0]

    def many(self, tasks: list[dict[str, Any]], cluster_id: str) -> tuple[float, tuple[float, float], float, float]:
        """Seconds of all runs, p50 and p99 of one, and the driver's memory after a quarter of them and at the end."""
        (folder,) = [one for one in (self.data / "clusters").iterdir() if one.name.startswith(cluster_id)]
        group = int(json.loads((folder / "driver.json").read_text())["pid"])
        began, quarter = time.monotonic(), RUNS // 4
        with ThreadPoolExecutor(AT_ONCE) as threads:
            times = list(threads.map(lambda number: self.run(tasks[number % len(tasks)]), range(quarter)))
            before = _memory_mb(group)
            times += threads.map(lambda number: self.run(tasks[number % len(tasks)]), range(quarter, RUNS))
        taken, after = time.monotonic() - began, _memory_mb(group)
        times.sort()
        return taken, (times[len(times) // 2], times[int(len(times) * 0.99)]), before, after

    def pool(self) -> tuple[float, float]:
        """A run on a job cluster of a pool with one driver ready: seconds until its task begins on the driver (as
        `setup_duration` tells), and until it has ended; the middle of three."""
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
            asked_ms = time.time() * 1000
            seconds, task = self.told({"new_cluster": cluster, **self.tasks["jar"]})
            found.append(((task["start_time"] + task["setup_duration"] - asked_ms) / 1000, seconds))
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


def _wheel(folder: Path) -> Path:
    path, info = folder / "bench_wheel-1.0-py3-none-any.whl", "bench_wheel-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("bench_wheel.py", WHEEL_MODULE)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: bench_wheel\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/entry_points.txt", "[jobs]\nstart = bench_wheel:main\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


def _submit(runtime: Runtime, *words: str) -> float:
    """Seconds of `spark-submit`, with the memory and cores of the node type."""
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    environment |= {"JAVA_HOME": str(runtime.java_home), "SPARK_HOME": str(runtime.spark_home)}
    environment |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": str(runtime.python)}
    command = [str(runtime.spark_home / "bin" / "spark-submit"), "--master", f"local[{CORES}]"]
    command += ["--driver-memory", f"{MEMORY_MB}m", "--driver-java-options", " ".join(SPARK_OPTIONS)]
    began = time.monotonic()
    done = subprocess.run([*command, *words], env=environment, check=False, capture_output=True, text=True)
    if done.returncode != 0 or "499500" not in done.stdout:
        raise RuntimeError(f"bench: spark-submit failed: {done.stdout}{done.stderr}")
    return time.monotonic() - began


def _memory_mb(group: int) -> float:
    """What the processes of a driver hold: its JVM, its Python side and what that has started."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getpgid(int(process.name)) == group:
                lines = (process / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it has ended
            continue
    return total / 1024


if __name__ == "__main__":
    print(table(measure(lambda text: print(text, file=sys.stderr, flush=True))))
