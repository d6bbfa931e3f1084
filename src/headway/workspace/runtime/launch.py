"""The command line of a driver's JVM."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.adapters.java import SPARK_OPTIONS
from headway.workspace.runtime.tasks import DriverSpec, Executors, Runtime

LOG4J = """rootLogger.level = info
rootLogger.appenderRef.file.ref = file
appender.file.type = File
appender.file.name = file
appender.file.fileName = ${sys:headway.logs}/log4j
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
logger.jetty.name = org.sparkproject.jetty
logger.jetty.level = warn
"""

_QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")


def classpath(spec: DriverSpec, host_jar: Path) -> str:
    """The host and every JAR of Spark, in a fixed order: the class-data archive is valid only for the very same.

    What follows them is no harm to it: Hadoop's configuration, where executors come from YARN.
    """
    runtime = spec.runtime
    jars = sorted(str(jar) for jar in (runtime.spark_home / "jars").glob("*.jar"))
    hadoop = [spec.executors.hadoop_conf] if spec.executors and spec.executors.hadoop_conf else []
    return ":".join([str(host_jar), *jars, *map(str, runtime.extra_jars), *hadoop, *script_jars(spec)])


def databricks_root(spec: DriverSpec) -> Path:
    """The folder that is `/databricks` to a driver with init scripts."""
    return spec.folder / "databricks"


def script_jars(spec: DriverSpec) -> list[str]:
    """What init scripts left for the class path."""
    return sorted(map(str, (databricks_root(spec) / "jars").glob("*.jar"))) if spec.init_scripts else []


# Spark's own. Source: Spark's configuration, spark.redaction.regex.
_REDACTED = "(?i)secret|password|token|access[.]?key"


def settings(spec: DriverSpec, host_jar: Path) -> dict[str, str]:
    """The Spark settings of a driver: ours, then the cluster's own over them, then those that must hold."""
    roots, folder = spec.roots, spec.folder
    return {
        **(_executor_defaults(spec, spec.executors) if spec.executors else {}),
        "spark.ui.enabled": "false",
        "spark.scheduler.mode": "FAIR",
        "spark.sql.warehouse.dir": "dbfs:/user/hive/warehouse",
        "spark.ui.showConsoleProgress": "false",
        "spark.executor.metrics.pollingInterval": "1s",  # else the memory of tasks below ten seconds is not told
        **spec.spark_conf,
        "spark.app.name": spec.cluster_id,
        "spark.master": f"local[{spec.cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        **(_executor_settings(spec, spec.executors, host_jar) if spec.executors else {}),
        "spark.driver.memory": f"{spec.memory_mb}m",
        "spark.local.dir": str(folder / "tmp"),
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (folder / "eventlog").as_uri(),
        "spark.eventLog.rolling.enabled": "false",
        "spark.eventLog.compress": "false",
        "spark.hadoop.headway.dbfs.root": str(roots.dbfs),
        "spark.hadoop.headway.volumes.root": str(roots.volumes),
        "spark.hadoop.headway.metastore": str(roots.metastore),
        "spark.hadoop.fs.dbfs.impl": "headway.host.DbfsFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.dbfs.impl": "headway.host.Dbfs",
        "spark.pyspark.python": str(spec.runtime.python),
        **_redaction(spec),
    }


def _executor_defaults(spec: DriverSpec, executors: Executors) -> dict[str, str]:
    """What a cluster may change: the size of its executors, and when one that is idle goes."""
    return {
        "spark.executor.memory": f"{executors.memory_mb}m",
        "spark.executor.cores": str(executors.cores),
        # No shuffle service is asked for: executors that hold shuffle files stay, but not for ever.
        "spark.dynamicAllocation.shuffleTracking.timeout": "600s",
        **({"spark.executor.extraJavaOptions": " ".join(_QUICK)} if spec.quick else {}),
        **({"spark.yarn.isPython": "true"} if executors.master == "yarn" else {}),
    }


def _executor_settings(spec: DriverSpec, executors: Executors, host_jar: Path) -> dict[str, str]:
    """Where executors come from, how many, how they reach the driver and read `dbfs:/`.

    Their number is always in the hands of Spark's allocation manager, also a fixed one: the standalone master knows no
    other way to give an application less than all it has, and one to change it later.
    """
    jars = executors.class_path or (str(host_jar), *map(str, spec.runtime.extra_jars))
    own = spec.spark_conf.get("spark.executor.extraClassPath")
    return {
        "spark.master": executors.master,
        "spark.submit.deployMode": "client",
        "spark.driver.host": executors.driver_host,
        "spark.driver.bindAddress": executors.bind_address,
        "spark.dynamicAllocation.enabled": "true",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
        "spark.dynamicAllocation.minExecutors": str(executors.least),
        "spark.dynamicAllocation.initialExecutors": str(executors.least),
        "spark.dynamicAllocation.maxExecutors": str(executors.most),
        "spark.executor.extraClassPath": ":".join([*jars, *([own] if own else [])]),
    }


def _redaction(spec: DriverSpec) -> Mapping[str, str]:
    """Spark leaves out of its event log what these match."""
    if not spec.secret_conf:
        return {}
    names = "|".join(re.escape(name) for name in sorted(spec.secret_conf))
    return {"spark.redaction.regex": f"{spec.spark_conf.get('spark.redaction.regex', _REDACTED)}|^(?:{names})$"}


def zygote_command(runtime: Runtime) -> list[str]:
    """How the Python process is started: by path, since Headway is not installed in every runtime."""
    folder = Path(__file__).parent
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); from pyside import zygote; zygote.main()"
    return [str(runtime.python), "-c", start]


def command(spec: DriverSpec, host_jar: Path, archive: tuple[str, ...], lease_seconds: int) -> list[str]:
    """The whole command. `archive` are the JVM's options for the class-data archive; a lease of 0 is a training run.

    The Spark settings are not in it: there may be secrets among them, and everybody sees the arguments of a process.
    They lie in the driver's folder (`hostjar.make_folders`).
    """
    return [
        str(spec.runtime.java_home / "bin" / "java"),
        f"-Xmx{spec.memory_mb}m",
        "-Xss4m",
        "-XX:+ExitOnOutOfMemoryError",
        *(_QUICK if spec.quick else ()),
        *archive,
        *SPARK_OPTIONS,
        f"-Dheadway.logs={spec.folder / 'logs'}",
        f"-Dlog4j2.configurationFile={spec.folder / 'log4j2.properties'}",
        f"-Djava.io.tmpdir={spec.folder / 'tmp'}",
        *((f"-javaagent:{host_jar}",) if lease_seconds else ()),
        "-cp",
        classpath(spec, host_jar),
        "headway.host.Host",
        str(spec.folder),
        str(lease_seconds),
        *zygote_command(spec.runtime),
    ]


def with_files(spec: DriverSpec, command: Sequence[str]) -> list[str]:
    """The same command, to which `/dbfs`, `/Volumes` and `/Workspace` are folders where the machine allows it."""
    roots = spec.roots
    folders = [f"dbfs={roots.dbfs}", f"Volumes={roots.volumes}", f"Workspace={roots.workspace}"]
    folders += [f"databricks={databricks_root(spec)}"] if spec.init_scripts else []
    program = str(Path(__file__).parent / "mounting.py")
    return [sys.executable, "-I", "-S", program, str(spec.folder / "tmp" / "root"), *folders, "--", *command]


def environment(spec: DriverSpec, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a driver: the cluster's own, and of the workspace's only what names the machine."""
    hadoop = spec.executors.hadoop_conf if spec.executors else ""
    kept = {key: inherited[key] for key in ("HOME", "LANG", "LC_ALL", "PATH", "TZ", "USER") if key in inherited}
    return {
        **kept,
        "JAVA_HOME": str(spec.runtime.java_home),
        "SPARK_HOME": str(spec.runtime.spark_home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": (spec.executors.python if spec.executors else "") or str(spec.runtime.python),
        **({"HADOOP_CONF_DIR": hadoop, "YARN_CONF_DIR": hadoop} if hadoop else {}),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(spec.folder / "tmp"),
        **({} if sys.flags.dont_write_bytecode == 0 else {"PYTHONDONTWRITEBYTECODE": "1"}),
        **spec.env,
        **_python_path(spec),
    }


def _python_path(spec: DriverSpec) -> Mapping[str, str]:
    """What init scripts had pip install comes before what the runtime has."""
    if not spec.init_scripts:
        return {}
    own = [spec.env["PYTHONPATH"]] if spec.env.get("PYTHONPATH") else []
    return {"PYTHONPATH": ":".join([str(databricks_root(spec) / "site"), *own])}
