"""`dbfs:/`, `/dbfs`, `/Volumes` and `/Workspace`: one place for Spark, Python, Arrow, programs, and the API's folders.

A machine that has no namespaces for us maps the paths in Python only: there the rest is not asked for.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from headway.workspace.runtime import mounting
from headway.workspace.runtime.tasks import DriverSpec, JarTask
from spark.conftest import Runner

pytestmark = pytest.mark.spark

# By which names a folder is reached, and by what.
PROGRAM = """# Databricks notebook source
import os, pathlib, subprocess
import pandas as pd, pyarrow.parquet as pq
mounted = os.environ.get("HEADWAY_FILES") == "mounted"
folder = dbutils.widgets.get("folder")
names = [name for name in dbutils.widgets.get("spark").split() if mounted or name.startswith("dbfs:")]
os.makedirs(folder, exist_ok=True)
with open(folder + "/pandas.parquet", "wb") as target:
    pd.DataFrame({"by": ["pandas"]}).to_parquet(target)
frame = spark.createDataFrame([("spark",)], "by string").coalesce(1)
for name in names:
    frame.write.mode("overwrite").parquet(name + "/spark.parquet")
    written = [str(path) for path in pathlib.Path(folder, "spark.parquet").glob("part*")]
    assert spark.read.parquet(name + "/pandas.parquet").first().by == "pandas", name
    listed = [file.name for file in dbutils.fs.ls(name)] if not name.startswith("file:") else None
    assert listed in (None, ["pandas.parquet", "spark.parquet/"]), listed
if mounted:
    assert pq.read_table(written[0]).to_pylist() == [{"by": "spark"}]
    assert spark.range(1).rdd.map(lambda _: os.path.exists(folder + "/pandas.parquet")).collect() == [True]
    said = subprocess.run(["ls", folder], capture_output=True, text=True).stdout
    assert said.split() == ["pandas.parquet", "spark.parquet"]
dbutils.notebook.exit(f"{'pandas.parquet' in os.listdir(folder)}")
"""


@pytest.mark.parametrize(
    ("root", "folder", "spark"),
    [
        ("dbfs", "/dbfs/place", "dbfs:/place /dbfs/place file:/dbfs/place"),
        ("volumes", "/Volumes/main/default/place", "/Volumes/main/default/place dbfs:/Volumes/main/default/place"),
        ("workspace", "/Workspace/place", "file:/Workspace/place /Workspace/place"),
    ],
)
def test_a_folder_is_one_place_by_each_of_its_names(run: Runner, root: str, folder: str, spark: str) -> None:
    outcome = run.notebook(PROGRAM, folder=folder, spark=spark)
    assert outcome.notebook_result == "True", run.log
    behind = Path(getattr(run.driver.spec.roots, root)) / folder.split("/", 2)[2]
    assert "pandas.parquet" in [path.name for path in behind.iterdir()]


def test_a_jar_opens_them_too(run: Runner, jars: dict[int, Path]) -> None:
    (run.driver.spec.roots.dbfs / "plain.txt").write_text("for java")
    run.python("import os; print(os.environ.get('HEADWAY_FILES'))")
    mounted = run.log == "mounted\n"
    read = run(JarTask("demo.Main", ("cat", "/dbfs/plain.txt")), jars[10]).state == "SUCCESS"
    assert (read, run.log == "for java\n") == (mounted, mounted)


def test_nothing_outside_sees_the_mounts(spec: DriverSpec, run: Runner) -> None:
    assert run.python("import os; print(sorted(os.listdir('/Volumes')) is not None)").state == "SUCCESS"
    here = Path("/proc/self/mounts").read_text()
    assert str(spec.folder) not in here
    assert list((spec.folder / "tmp" / "root").iterdir()) == []


def test_where_it_cannot_be_the_command_runs_all_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import os; print(os.environ.get('HEADWAY_FILES'), os.path.exists('/dbfs'))"]
    gone = f"dbfs={tmp_path / 'gone'}"
    done = subprocess.run(
        [sys.executable, "-I", "-S", mounting.__file__, str(tmp_path / "root"), gone, "--", *command],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"None {Path('/dbfs').exists()}\n"
    assert "are not mounted here" in done.stderr
