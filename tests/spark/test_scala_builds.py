"""Plain Scala is compiled to the same bytes wherever and whenever it is built, and says what it was built for."""

import os
from pathlib import Path

import pytest

from headway.core.application import ArtifactSettings
from headway.core.artifacts import JarFacts
from headway.core.events import ignore
from headway.delivery.builders.scala import build_jar
from headway.delivery.inspecting import inspect
from headway.delivery.toolchain import installed_toolchain

pytestmark = pytest.mark.spark

SOURCES = {
    "Main.scala": "package app\ncase class Row(a: Int, b: String)\n"
    "object Main { def main(args: Array[String]): Unit = println(Seq(Row(1, args(0))).map(r => r.a + 1).sum) }\n",
    "Other.scala": "package app\ntrait Other { lazy val x: Seq[Int] = List(1, 2).collect { case n if n > 1 => n } }\n",
}


def test_a_jar_of_scala_is_the_same_bytes_from_another_folder_at_another_time(tmp_path: Path) -> None:
    tools, settings = installed_toolchain(), ArtifactSettings("lib", "jar", "scala", ("src",), main_class="app.Main")
    built = []
    for folder, time in ((tmp_path / "one", 1_000_000_000), (tmp_path / "some" / "where" / "else", 1_500_000_000)):
        (folder / "src").mkdir(parents=True)
        for name, text in SOURCES.items():
            (folder / "src" / name).write_text(text)
            os.utime(folder / "src" / name, (time, time))
        (folder / "out").mkdir()
        built.append(build_jar(settings, "1.0.1", folder, folder / "out", tools, tmp_path / "log", ignore))
    assert built[0].read_bytes() == built[1].read_bytes()

    facts = inspect(built[0], "jar")
    assert isinstance(facts, JarFacts)
    assert (facts.java, set(facts.scala), facts.spark) == (17, {tools.scala}, tools.spark)
    assert "app.Main" in facts.classes
    assert facts.spark_modules == ()
