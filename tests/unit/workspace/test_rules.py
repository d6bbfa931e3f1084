"""Job settings, references, paths, notebooks, downloads: the pure rules of the workspace."""

from pathlib import Path
from typing import Any

import pytest

from headway.workspace.engine import references
from headway.workspace.errors import ApiError
from headway.workspace.outgoing import refusal
from headway.workspace.paths import confined
from headway.workspace.runtime.pyside.notebook import cells
from headway.workspace.services.jobs.checks import check, cycle
from headway.workspace.services.jobs.model import multi_task, with_defaults

TASK: dict[str, Any] = {"task_key": "a", "job_cluster_key": "c", "spark_jar_task": {"main_class_name": "M"}}
JOB: dict[str, Any] = {"name": "j", "tasks": [TASK], "job_clusters": [{"job_cluster_key": "c", "new_cluster": {}}]}


def refused(settings: dict[str, Any], version: str = "2.2") -> ApiError:
    """The error that these settings give."""
    with pytest.raises(ApiError) as caught:
        check(multi_task(settings), version, lambda spec: None)
    return caught.value


@pytest.mark.parametrize(
    ("task", "code", "message"),
    [
        ({"job_cluster_key": None}, "INVALID_PARAMETER_VALUE", "One of job_cluster_key, new_cluster, or existing"),
        ({"job_cluster_key": "x"}, "INVALID_PARAMETER_VALUE", "job_cluster_key x is not defined"),
        ({"task_key": "a b"}, "INVALID_PARAMETER_VALUE", "Invalid task_key: a b"),
        ({"depends_on": [{"task_key": "z"}]}, "INVALID_PARAMETER_VALUE", "depends on z"),
        ({"depends_on": [{"task_key": "a"}]}, "INVALID_PARAMETER_VALUE", "in a circle: a -> a"),
        ({"spark_jar_task": {}}, "INVALID_PARAMETER_VALUE", "spark_jar_task.main_class_name"),
        ({"spark_jar_task": "M"}, "MALFORMED_REQUEST", "Expected object for field spark_jar_task"),
        ({"run_if": "NEVER"}, "INVALID_PARAMETER_VALUE", "run_if must be one of"),
        ({"dbt_task": {}}, "NOT_IMPLEMENTED", "dbt_task is not served"),
        ({"job_cluster_key": None, "existing_cluster_id": 1}, "MALFORMED_REQUEST", "string for field existing"),
    ],
)
def test_a_task_that_cannot_run_is_refused_with_its_reason(task: dict[str, Any], code: str, message: str) -> None:
    error = refused({**JOB, "tasks": [{**TASK, **task}]})
    assert error.error_code == code
    assert message in error.message


def test_more_than_a_hundred_tasks_need_version_2_2() -> None:
    many = {**JOB, "tasks": [{**TASK, "task_key": f"t{number}"} for number in range(101)]}
    assert "can only be handled by API 2.2 and above. Your resource has 101 tasks" in refused(many, "2.1").message
    check(many, "2.2", lambda spec: None)


def test_the_single_task_form_becomes_one_task() -> None:
    found = multi_task({"name": "old job", "new_cluster": {"x": 1}, "spark_jar_task": {"main_class_name": "M"}})
    expected = {"task_key": "old_job", "spark_jar_task": {"main_class_name": "M"}, "new_cluster": {"x": 1}}
    assert found == {"name": "old job", "tasks": [expected]}


def test_unknown_fields_are_kept_and_defaults_filled_in() -> None:
    found = with_defaults({**JOB, "something_new": {"a": 1}})
    assert found["something_new"] == {"a": 1}
    assert (found["max_concurrent_runs"], found["format"], found["email_notifications"]) == (1, "MULTI_TASK", {})
    assert found["tasks"][0]["run_if"] == "ALL_SUCCESS"


def test_a_circle_is_found_wherever_it_is() -> None:
    assert cycle({"a": ["b"], "b": ["c"], "c": []}) == []
    assert cycle({"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}) == ["a", "b", "c", "a"]


def test_references_in_parameters() -> None:
    known = references.of_run(job_id=7, job_name="j", run_id=8, start_ms=1, base_url="http://h")
    known |= references.of_task("t", 9, 0, {})
    assert references.resolve(["{{job.id}}/{{ run_id }}", {"a": "{{task.name}}"}], known) == ["7/9", {"a": "t"}]
    assert references.resolve("{{not a reference}} {{ }} {{unknown}}", known) == "{{not a reference}} {{ }} {{unknown}}"
    with pytest.raises(ValueError, match=r"job\.nothing"):
        references.resolve("{{job.nothing}}", known)


@pytest.mark.parametrize("path", ["relative", "/a/../../etc/passwd", "/..", "/a\0b", "/" + "x" * 300, "/link/x"])
def test_a_path_that_leads_outside_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "link").symlink_to(tmp_path)
    with pytest.raises(ApiError):
        confined(tmp_path / "root", path)


def test_a_path_inside_is_a_file_below_the_root(tmp_path: Path) -> None:
    assert confined(tmp_path, "//a/./b") == tmp_path.resolve() / "a" / "b"


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "192.168.1.1", "::1", "0.0.0.0"])  # noqa: S104
def test_private_addresses_are_refused_unless_the_host_is_allowed(address: str) -> None:
    assert refusal("store.example", [address], ()) is not None
    assert refusal("store.example", ["8.8.8.8", address], ()) is not None
    assert refusal("store.example", [address], ("*.example",)) is None
    assert refusal("store.example", ["8.8.8.8"], ()) is None


def test_cells_of_a_notebook() -> None:
    source = """# Databricks notebook source
x = 1
# COMMAND ----------

# MAGIC %sql
# MAGIC select 1;
# MAGIC select 2

# COMMAND ----------

# MAGIC %md
# MAGIC # Title
# COMMAND ----------

# COMMAND ----------
%run ./other
"""
    found = [(cell.magic, cell.text, cell.line) for cell in cells(source, "PYTHON")]
    assert found == [
        ("python", "x = 1", 2),
        ("sql", "select 1;\nselect 2", 6),
        ("md", "# Title", 12),
        ("run", "./other", 16),
    ]
    assert [cell.magic for cell in cells("-- Databricks notebook source\nselect 1\n", "SQL")] == ["sql"]
