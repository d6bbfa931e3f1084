"""Init scripts really run before a driver: what they install and leave is there for Spark, and only there."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.initscripts import run_all
from headway.workspace.runtime.tasks import DriverFailed, DriverSpec, InitScript
from spark.conftest import Runner

pytestmark = pytest.mark.spark

SCRIPT = """
set -eu
echo "cluster $DB_CLUSTER_ID is $DB_CLUSTER_NAME, driver $DB_IS_DRIVER, mode $MODE"
pip install --quiet --no-index --no-deps {wheel}
cp {jar} "$DATABRICKS_ROOT/jars/"
if [ "${{HEADWAY_FILES:-}}" = mounted ]; then
  test -x /databricks/python/bin/python
  echo "left by a script" > /dbfs/left.txt
else
  echo "left by a script" > {dbfs}/left.txt
fi
"""
PROGRAM = """
import sys, tool
from pyspark.sql import SparkSession
from pyspark.sql.functions import udf
spark = SparkSession.builder.getOrCreate()
def told(n):
    import tool
    return tool.say()
print(tool.say(), spark.range(1).select(udf(told)("id")).first()[0], spark.read.text("dbfs:/left.txt").first()[0])
print(spark._jvm.demo.Answer.value())
"""


def test_what_scripts_install_and_leave_is_there_for_spark(
    spec: DriverSpec, cache: Path, tmp_path: Path, jars: dict[int, Path], wheel: Callable[[str], Path]
) -> None:
    text = SCRIPT.format(wheel=wheel("howdy"), jar=jars[10], dbfs=spec.roots.dbfs)
    scripts = (
        InitScript("first", b"echo first >&2", everywhere=True),
        InitScript("/Shared/set up.sh", text.encode()),
    )
    own = replace(
        spec,
        folder=tmp_path / "own",
        env={"MODE": "test"},
        init_scripts=scripts,
        script_env={"DB_CLUSTER_NAME": "nightly"},
    )
    driver = Driver.start(own, cache)
    try:
        run = Runner(driver, tmp_path)
        assert run.python(PROGRAM).state == "SUCCESS", run.log
        assert run.log.split("\n") == ["howdy howdy left by a script", "10", ""]
    finally:
        driver.stop()
    logs = own.folder / "logs" / "init_scripts"
    assert (logs / "00_first.stderr.log").read_text() == "first\n"
    said = (logs / "01__Shared_set_up.sh.stdout.log").read_text()
    assert said == f"cluster {spec.cluster_id} is nightly, driver TRUE, mode test\n"
    assert not list(Path(sys.prefix).glob("lib/python*/site-packages/tool.py"))


@pytest.mark.parametrize(
    ("text", "everywhere", "seconds", "code", "why"),
    [
        (
            "echo so far; echo no such disk >&2; exit 7",
            False,
            60,
            "INIT_SCRIPT_FAILURE",
            "ended with 7: so far no such",
        ),
        ("exit 1", True, 60, "GLOBAL_INIT_SCRIPT_FAILURE", "ended with 1"),
        ("sleep 600 & sleep 600", False, 0.5, "INIT_SCRIPT_FAILURE", "did not end in time"),
    ],
)
def test_a_script_that_fails_is_told_and_those_after_it_do_not_run(
    spec: DriverSpec, tmp_path: Path, text: str, everywhere: bool, seconds: float, code: str, why: str
) -> None:
    later = tmp_path / "later"
    scripts = (InitScript("bad", text.encode(), everywhere), InitScript("after", f"touch {later}".encode()))
    own = replace(spec, folder=tmp_path / "own", init_scripts=scripts)
    (own.folder / "tmp").mkdir(parents=True)
    with pytest.raises(DriverFailed, match=why) as caught:
        run_all(own, {}, seconds=seconds)
    assert caught.value.reason == code
    assert not later.exists()
