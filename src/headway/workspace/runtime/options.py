"""Options of a runtime: JARs that are put on its drivers' class path. `s3a` makes `s3a://` paths work."""

import shutil
import tempfile
from pathlib import Path

from headway.core.errors import HeadwayError
from headway.core.events import Emit, Progress
from headway.workspace.runtime.maven import Coordinate, fetch_jars
from headway.workspace.runtime.runtimes import extras_folder
from headway.workspace.runtime.tasks import Runtime

# What Spark has in its own class path; a second copy would only do harm.
_IN_SPARK = (
    *("io.netty", "org.slf4j", "commons-logging", "commons-codec", "com.fasterxml.jackson.core", "joda-time"),
    *("com.fasterxml.jackson.dataformat", "org.apache.httpcomponents:httpcore", "org.apache.httpcomponents:httpclient"),
)
_AWS = "software.amazon.awssdk"


def _sdk(version: str, *modules: str) -> tuple[Coordinate, ...]:
    return tuple(Coordinate(_AWS, module, version, exclude=_IN_SPARK) for module in modules)


# By the version of Hadoop in a Spark: hadoop-aws of the very same version, and of the AWS SDK that it was built with
# (`hadoop-project`'s POM) the modules that it uses: together a tenth of Amazon's bundle.
S3A: dict[str, tuple[Coordinate, ...]] = {
    "3.3.4": (
        Coordinate("org.apache.hadoop", "hadoop-aws", "3.3.4", alone=True),
        *(
            Coordinate("com.amazonaws", f"aws-java-sdk-{module}", "1.12.262", exclude=_IN_SPARK)
            for module in ("s3", "sts", "dynamodb")
        ),
        Coordinate("org.wildfly.openssl", "wildfly-openssl", "1.0.7.Final", alone=True),
    ),
    "3.4.1": (
        Coordinate("org.apache.hadoop", "hadoop-aws", "3.4.1", alone=True),
        *_sdk("2.24.6", "s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client"),
        Coordinate("org.wildfly.openssl", "wildfly-openssl", "1.1.3.Final", alone=True),
    ),
    "3.5.0": (
        Coordinate("org.apache.hadoop", "hadoop-aws", "3.5.0", alone=True),
        *_sdk("2.35.4", "s3", "s3-transfer-manager", "sts", "apache-client", "netty-nio-client"),
        Coordinate("software.amazon.s3.analyticsaccelerator", "analyticsaccelerator-s3", "1.3.1", alone=True),
        Coordinate("org.wildfly.openssl", "wildfly-openssl", "2.1.4.Final", alone=True),
    ),
}
OPTIONS = ("s3a",)


def install_option(name: str, runtime: Runtime, cache: Path, emit: Emit) -> None:
    """Fetch an option's JARs, unless they are there. Raise HeadwayError RUNTIME_OPTION_UNKNOWN, MAVEN_FAILED."""
    hadoop = hadoop_version(runtime.spark_home)
    wanted = S3A.get(hadoop) if name in OPTIONS else None
    if wanted is None:
        raise HeadwayError("RUNTIME_OPTION_UNKNOWN", named=name, spark=runtime.spark, known=", ".join(OPTIONS))
    folder = extras_folder(cache, runtime.spark)
    if (folder / name / "complete").exists():
        return
    emit(Progress(f"fetching what {name} needs with Hadoop {hadoop} (through Maven)"))
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(dir=folder, prefix="draft-"))
    try:
        fetch_jars(wanted, draft, runtime, cache)
        (draft / "complete").touch()
        shutil.rmtree(folder / name, ignore_errors=True)
        draft.rename(folder / name)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def hadoop_version(spark_home: Path) -> str:
    """The version of Hadoop in a Spark."""
    jar = next(iter((spark_home / "jars").glob("hadoop-client-api-*.jar")))
    return jar.stem.removeprefix("hadoop-client-api-")
