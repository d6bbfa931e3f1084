"""One warm driver for all tests, and JARs and wheels made for them."""

import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headway.adapters.spark import default_cache
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.runtimes import default_runtime
from headway.workspace.runtime.tasks import (
    DriverSpec,
    FileRoots,
    JarTask,
    LocalLibrary,
    NotebookTask,
    PythonFileTask,
    Runtime,
    Task,
    TaskOutcome,
    TaskRequest,
)

PROGRAM = """
package demo
import org.apache.spark.sql.SparkSession
object Answer {{ val value = {answer} }}
object Main {{
  @volatile var spinning = true
  def main(arguments: Array[String]): Unit = {{
    val spark = SparkSession.builder().getOrCreate()
    import spark.implicits._
    arguments.headOption.getOrElse("") match {{
      case "exit" => println("leaving"); System.exit(arguments(1).toInt)
      case "swallow" => try System.exit(4) catch {{ case _: Throwable => println("caught") }}
      case "stop" => spark.stop(); println(spark.range(3).count())
      case "throw" => throw new IllegalStateException("no good")
      case "print" => (1 to arguments(1).toInt).foreach(_ => println("x" * (1 << 20)))
      case "spin" => println("spinning"); while (Main.spinning) {{}}
      case "cat" => println(java.nio.file.Files.readString(java.nio.file.Path.of(arguments(1))))
      case "shuffle" => // waits in the second stage, before it has read anything, until it is told to go on
        val Array(_, at, go) = arguments
        val keys = spark.range(0, 1000, 1, 4).map(n => n % Answer.value).toDF("k").repartition(2, $"k").as[Long]
        val sums = keys.mapPartitions {{ rows =>
          java.nio.file.Files.createTempFile(java.nio.file.Path.of(at), "jar", "")
          while (!java.nio.file.Files.exists(java.nio.file.Path.of(go))) Thread.sleep(20)
          Iterator(rows.sum)
        }}
        println("sum " + sums.collect().sum)
      case "sleep" => println("asleep"); spark.range(2).foreach((_: java.lang.Long) => Thread.sleep(60000))
      case "stream" =>
        spark.readStream.text("dbfs:/stream/in").writeStream
          .trigger(org.apache.spark.sql.streaming.Trigger.AvailableNow)
          .option("checkpointLocation", "dbfs:/stream/checkpoint")
          .format("parquet").start("dbfs:/stream/out").awaitTermination()
        println(spark.read.parquet("dbfs:/stream/out").count())
      case _ =>
        val mapped = spark.range(3).map(n => n + Answer.value).collect().sum
        val counted = spark.sparkContext.parallelize(1 to 2).map(_ * Answer.value).sum().toInt
        println(s"answer $mapped $counted")
    }}
  }}
}}
"""


@pytest.fixture(scope="session")
def cache() -> Path:
    """The user's own cache: preparing a runtime takes half a minute."""
    return default_cache()


@pytest.fixture(scope="session")
def runtime(cache: Path) -> Runtime:
    """The installed one."""
    return default_runtime(cache)


@pytest.fixture(scope="session")
def spec(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> DriverSpec:
    """The warm driver's."""
    base = tmp_path_factory.mktemp("driver")
    roots = FileRoots(base / "dbfs", base / "workspace", base / "volumes")
    return DriverSpec(
        "test", runtime, base / "own", roots, quick=True, spark_conf={"spark.sql.shuffle.partitions": "2"}
    )


@pytest.fixture(scope="session")
def driver(spec: DriverSpec, cache: Path) -> Iterator[Driver]:
    """It."""
    started = Driver.start(spec, cache)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def jars(tmp_path_factory: pytest.TempPathFactory, runtime: Runtime) -> dict[int, Path]:
    """Two JARs with the same classes and other answers: 10 and 200."""
    return {answer: make_jar(tmp_path_factory.mktemp(f"jar{answer}"), runtime, answer) for answer in (10, 200)}


def make_jar(folder: Path, runtime: Runtime, answer: int) -> Path:
    """The program, compiled for a runtime."""
    (folder / "Main.scala").write_text(PROGRAM.format(answer=answer))
    (folder / "classes").mkdir()
    command = [str(runtime.java_home / "bin" / "java"), "-Xss8m", "-XX:TieredStopAtLevel=1"]
    command += ["-cp", f"{runtime.spark_home}/jars/*", "scala.tools.nsc.Main", "-usejavacp", "-d"]
    subprocess.run([*command, str(folder / "classes"), str(folder / "Main.scala")], check=True)
    jar = folder / "demo.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        for path in (folder / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(folder / "classes").as_posix())
    return jar


class Runner:
    """Runs tasks on the warm driver and keeps what they print. `log` is that of the last one."""

    def __init__(self, driver: Driver, folder: Path) -> None:
        self.driver, self.folder, self.count = driver, folder, 0

    @property
    def log(self) -> str:
        """What the last task printed."""
        return self.path(self.count).read_text()

    def path(self, number: int) -> Path:
        """The log of a task by its number, from 1."""
        return self.folder / f"{number}.log"

    def __call__(self, task: Task, *libraries: Path) -> TaskOutcome:
        """Run a task to its end."""
        return self.driver.run(self.request(task, *libraries))

    def request(self, task: Task, *libraries: Path) -> TaskRequest:
        """What would be asked."""
        self.count += 1
        kinds = {".jar": "jar", ".whl": "whl", ".egg": "egg"}
        held = tuple(LocalLibrary(kinds[path.suffix], path) for path in libraries)  # type: ignore[arg-type]
        run_id = f"{self.folder.name}-{self.count}"
        return TaskRequest(run_id, task, held, self.path(self.count), {"task_key": "t"})

    def python(self, text: str, *parameters: str) -> TaskOutcome:
        """Run Python text."""
        path = self.folder / f"program{self.count}.py"
        path.write_text(text)
        return self(PythonFileTask(path, parameters))

    def jar(self, jar: Path, *parameters: str) -> TaskOutcome:
        """Run the Main of a JAR."""
        return self(JarTask("demo.Main", parameters), jar)

    def notebook(self, source: str, language: str = "PYTHON", **widgets: str) -> TaskOutcome:
        """Run a notebook."""
        return self(NotebookTask("/Shared/n", language, source, widgets))  # type: ignore[arg-type]


@pytest.fixture
def run(driver: Driver, tmp_path: Path) -> Runner:
    """A runner on the warm driver."""
    return Runner(driver, tmp_path)


@pytest.fixture
def wheel(tmp_path: Path) -> Callable[[str], Path]:
    """Makes a wheel `tool` whose module says a word."""

    def make(word: str) -> Path:
        path = tmp_path / f"tool-{len(word)}.0-py3-none-any.whl"
        info = f"tool-{len(word)}.0.dist-info"
        program = (
            f"import sys\ndef say():\n    return {word!r}\n"
            "def main():\n    from pyspark.sql import SparkSession\n    from pyspark.sql.functions import udf\n"
            "    spark = SparkSession.builder.getOrCreate()\n"
            "    def told(n):\n        import tool\n        return tool.say()\n"
            "    print(sys.argv[1:], spark.range(1).select(udf(told)('id')).first()[0])\n"
            "def fail():\n    return 3\n"
        )
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("tool.py", program)
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tool\nVersion: {len(word)}.0\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/entry_points.txt", "[jobs]\nstart = tool:main\n")
            archive.writestr(f"{info}/RECORD", "")
        return path

    return make
