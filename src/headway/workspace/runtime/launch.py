"""The command line of a driver's JVM."""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from headway.adapters.java import SPARK_OPTIONS
from headway.workspace.runtime.tasks import DriverSpec, Runtime

SECRET_ARGUMENTS = "secret.args"  # noqa: S105  (the name of a file)
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


def classpath(runtime: Runtime, host_jar: Path) -> str:
    """The host and every JAR of Spark, in a fixed order: the class-data archive is valid only for the very same."""
    jars = sorted(str(jar) for jar in (runtime.spark_home / "jars").glob("*.jar"))
    return ":".join([str(host_jar), *jars, *map(str, runtime.extra_jars)])


# Spark's own. Source: Spark's configuration, spark.redaction.regex.
_REDACTED = "(?i)secret|password|token|access[.]?key"


def settings(spec: DriverSpec) -> Mapping[str, str]:
    """The Spark settings of a driver: ours, then the cluster's own over them, then those that must hold."""
    roots, folder = spec.roots, spec.folder
    return {
        "spark.ui.enabled": "false",
        "spark.scheduler.mode": "FAIR",
        "spark.sql.warehouse.dir": "dbfs:/user/hive/warehouse",
        "spark.ui.showConsoleProgress": "false",
        **spec.spark_conf,
        "spark.app.name": spec.cluster_id,
        "spark.master": f"local[{spec.cores}]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
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


def _redaction(spec: DriverSpec) -> Mapping[str, str]:
    """Spark leaves out of its event log what these match."""
    if not spec.secret_conf:
        return {}
    names = "|".join(re.escape(name) for name in sorted(spec.secret_conf))
    return {"spark.redaction.regex": f"{spec.spark_conf.get('spark.redaction.regex', _REDACTED)}|^(?:{names})$"}


def secret_arguments(spec: DriverSpec) -> str:
    """The secret settings as a file of arguments. Source: the `java` command, "Command-Line Argument Files"."""
    found = {key: value for key, value in settings(spec).items() if key in spec.secret_conf}
    return "".join(f'"{_escaped(f"-D{key}={value}")}"\n' for key, value in found.items())


def _escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        text = text.replace(plain, written)
    return text


def zygote_command(runtime: Runtime) -> list[str]:
    """How the Python process is started: by path, since Headway is not installed in every runtime."""
    folder = Path(__file__).parent
    start = f"import sys; sys.path.insert(0, {str(folder)!r}); from pyside import zygote; zygote.main()"
    return [str(runtime.python), "-c", start]


def command(spec: DriverSpec, host_jar: Path, archive: tuple[str, ...], lease_seconds: int) -> list[str]:
    """The whole command. `archive` are the JVM's options for the class-data archive; a lease of 0 is a training run."""
    return [
        str(spec.runtime.java_home / "bin" / "java"),
        f"-Xmx{spec.memory_mb}m",
        "-Xss4m",
        "-XX:+ExitOnOutOfMemoryError",
        *(("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC") if spec.quick else ()),
        *archive,
        *SPARK_OPTIONS,
        f"-Dheadway.logs={spec.folder / 'logs'}",
        f"-Dlog4j2.configurationFile={spec.folder / 'log4j2.properties'}",
        f"-Djava.io.tmpdir={spec.folder / 'tmp'}",
        *(f"-D{key}={value}" for key, value in settings(spec).items() if key not in spec.secret_conf),
        *((f"@{spec.folder / SECRET_ARGUMENTS}",) if spec.secret_conf else ()),
        *((f"-javaagent:{host_jar}",) if lease_seconds else ()),
        "-cp",
        classpath(spec.runtime, host_jar),
        "headway.host.Host",
        str(spec.folder),
        str(lease_seconds),
        *zygote_command(spec.runtime),
    ]


def with_files(spec: DriverSpec, command: Sequence[str]) -> list[str]:
    """The same command, to which `/dbfs`, `/Volumes` and `/Workspace` are folders where the machine allows it."""
    roots = spec.roots
    folders = [f"dbfs={roots.dbfs}", f"Volumes={roots.volumes}", f"Workspace={roots.workspace}"]
    program = str(Path(__file__).parent / "mounting.py")
    return [sys.executable, "-I", "-S", program, str(spec.folder / "tmp" / "root"), *folders, "--", *command]


def environment(spec: DriverSpec, inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment of a driver: the cluster's own, and of the workspace's only what names the machine."""
    kept = {key: inherited[key] for key in ("HOME", "LANG", "LC_ALL", "PATH", "TZ", "USER") if key in inherited}
    return {
        **kept,
        "JAVA_HOME": str(spec.runtime.java_home),
        "SPARK_HOME": str(spec.runtime.spark_home),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYSPARK_PYTHON": str(spec.runtime.python),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(spec.folder / "tmp"),
        **({} if sys.flags.dont_write_bytecode == 0 else {"PYTHONDONTWRITEBYTECODE": "1"}),
        **spec.env,
    }
