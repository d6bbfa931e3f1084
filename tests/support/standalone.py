"""A real standalone cluster on loopback: a master and workers, each a process group of its own, with authentication."""

import os
import re
import signal
import subprocess
from pathlib import Path

from headway.workspace.runtime.tasks import Runtime
from support.served_workspace import until


class Standalone:
    """A master with its workers. Each worker has two cores and 1 GB, and ends with all it started when it is killed."""

    def __init__(self, runtime: Runtime, folder: Path) -> None:
        self.runtime, self.folder = runtime, folder
        self.secret = "only-for-this-test"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.settings = folder / "spark.conf"
        # A lost worker is noticed when its connection breaks; one that only starts anew is not waited for.
        said = {"spark.authenticate": "true", "spark.authenticate.secret": self.secret, "spark.worker.ui.port": "0"}
        said |= {"spark.master.ui.port": "0", "spark.master.rest.enabled": "false"}
        self.settings.write_text("".join(f"{key} {value}\n" for key, value in said.items()))
        self._start("master", "org.apache.spark.deploy.master.Master", "--port", "0")
        self.url = self._said("master", r"Starting Spark master at (spark://\S+)")

    def worker(self) -> int:
        """Start one and wait until the master has it; return its number."""
        number = len(self.processes)
        name = f"worker{number}"
        work = ["--cores", "2", "--memory", "1g", "--port", "0", "--work-dir", str(self.folder / name)]
        self._start(name, "org.apache.spark.deploy.worker.Worker", *work, self.url)
        self._said(name, r"(Successfully registered with master)")
        return number

    def kill(self, number: int) -> None:
        """SIGKILL a worker with its executors, as a machine is lost."""
        os.killpg(self.processes[number].pid, signal.SIGKILL)
        self.processes[number].wait(30)

    def close(self) -> None:
        """End all."""
        for number, process in enumerate(self.processes):
            if process.poll() is None:
                self.kill(number)

    def _start(self, name: str, main: str, *arguments: str) -> None:
        java = str(self.runtime.java_home / "bin" / "java")
        command = [java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]
        command += ["-cp", f"{self.runtime.spark_home}/jars/*", main, "--host", "127.0.0.1"]
        command += ["--properties-file", str(self.settings), *arguments]
        env = {**os.environ, "JAVA_HOME": str(self.runtime.java_home), "SPARK_LOCAL_IP": "127.0.0.1"}
        # As `spark-class` sets it, which would start a JVM more to say the same.
        env |= {"SPARK_HOME": str(self.runtime.spark_home), "SPARK_SCALA_VERSION": self.runtime.scala}
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
        self.processes.append(process)

    def _said(self, name: str, pattern: str) -> str:
        log = self.folder / f"{name}.log"
        found = until(lambda: re.search(pattern, log.read_text()), 120)
        return str(found.group(1))
