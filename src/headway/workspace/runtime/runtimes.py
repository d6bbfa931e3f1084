"""Installed runtimes: what a `spark_version` key stands for."""

import sys
from pathlib import Path

from headway.adapters.java import find_java_home
from headway.adapters.spark import installed_spark
from headway.workspace.runtime.tasks import Runtime


def default_runtime(cache: Path) -> Runtime:
    """The PySpark that is installed beside Headway. Raise HeadwayError JAVA_NOT_FOUND."""
    spark = installed_spark()
    return Runtime(
        key=spark.key,
        name=f"{spark.key.partition('.x')[0]} (includes Apache Spark {spark.version}, Scala {spark.scala})",
        spark=spark.version,
        scala=spark.scala,
        python=Path(sys.executable),
        spark_home=spark.home,
        java_home=find_java_home(cache),
    )
