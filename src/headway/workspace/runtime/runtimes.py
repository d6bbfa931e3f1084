"""Installed runtimes: what a `spark_version` key stands for."""

import re
import sys
from importlib import metadata, util
from pathlib import Path

from headway.adapters.java import find_java_home
from headway.workspace.runtime.tasks import Runtime


def default_runtime(cache: Path) -> Runtime:
    """The PySpark that is installed beside Headway. Raise HeadwayError JAVA_NOT_FOUND."""
    spark = metadata.version("pyspark")
    spec = util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pyspark")
    home = Path(spec.origin).parent
    scala = scala_binary_version(home)
    major_minor = ".".join(spark.split(".")[:2])
    return Runtime(
        key=f"{major_minor}.x-scala{scala}",
        name=f"{major_minor} (includes Apache Spark {spark}, Scala {scala})",
        spark=spark,
        scala=scala,
        python=Path(sys.executable),
        spark_home=home,
        java_home=find_java_home(cache),
    )


def scala_binary_version(spark_home: Path) -> str:
    """`2.13`, read from the name of Spark's own core JAR."""
    for jar in (spark_home / "jars").glob("spark-core_*.jar"):
        match = re.match(r"spark-core_([\d.]+)-", jar.name)
        if match:
            return match.group(1)
    raise FileNotFoundError(f"{spark_home} has no spark-core JAR")
