"""The Spark session of a Python run: the one that the driver's JVM opened for it."""

import os
import signal
from typing import Any


def attach(port: int, secret: str, python_path: list[str]) -> Any:
    """Connect to the run's Py4J gateway; return its SparkSession, which `getOrCreate` finds from now on.

    Stopping it does nothing: the driver ends it with the run. `python_path` reaches the Python workers too.
    """
    os.environ["PYSPARK_GATEWAY_PORT"] = str(port)
    os.environ["PYSPARK_GATEWAY_SECRET"] = secret
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    gateway = launch_gateway()
    run = gateway.entry_point
    java_context = run.getJsc()
    context = SparkContext(gateway=gateway, jsc=java_context, conf=SparkConf(_jconf=java_context.sc().conf().clone()))
    if python_path:
        workers = [*python_path, context.environment.get("PYTHONPATH", "")]
        context.environment["PYTHONPATH"] = os.pathsep.join(part for part in workers if part)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Spark's own would cancel the jobs of every run
    spark = SparkSession(context, run.getSession())
    SparkSession._instantiatedSession = spark
    SparkSession._activeSession = spark
    SparkContext.stop = lambda self: None
    SparkSession.stop = lambda self: None
    return spark
