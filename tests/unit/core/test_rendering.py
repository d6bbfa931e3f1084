"""A plan as a person reads it."""

from headway.core.plan import (
    ArtifactChange,
    Change,
    CreateJob,
    DeleteJob,
    Orphan,
    Plan,
    ResetJob,
    RestartJob,
    SetPermissions,
)
from headway.core.planfile import shown
from headway.core.rendering import as_markdown, as_text, summary

EXPECTED = """\
app 1.0.1 → 1.0.2 in stage
  artifact jar: sha256 aaaaaaaaaaaa… → sha256 bbbbbbbbbbbb…
  + new  (stage-new): this release defines it
  ~ main  (stage-main, job 7): this release changes it, and it was changed by hand
      tasks[a].libraries: 1.0.1 → 1.0.2
      tasks[a].spark_env_vars.DB_PASSWORD: a secret value (not shown)
      timeout_seconds: 10 → 20  (was changed by hand)
  ~ main  (job 7): permissions: this release changes it
      permissions: +level=CAN_VIEW group_name=analysts
  ↻ main  (job 7): restart: it streams, and its settings change
  - old  (stage-old, job 9): this release does not define it
  ! main  (stage-main copy, job 12): a copy of main (job 7) with the same tags; it is left alone
1 to create, 1 to change, 1 to permit anew, 1 to restart, 1 to delete, 2 unchanged"""

MANY = """\
app 1.0.1 → 1.0.2 in stage
  ~ 412 jobs: this release changes it
      job-0, job-1, job-2, job-3, job-4, job-5 and 406 more
      tasks[ingest].libraries: 1.0.1 → 1.0.2
  ~ odd  (odd, job 999): this release changes it
      tasks[ingest].libraries: -jar=dbfs:/other-2.jar, +jar=dbfs:/x-1.0.2.jar
413 to change, 0 unchanged"""


def plan_of_many_kinds() -> Plan:
    changes = (
        Change("tasks[a].libraries", [{"jar": "x-1.0.1.jar"}], [{"jar": "x-1.0.2.jar"}]),
        Change("tasks[a].spark_env_vars.DB_PASSWORD", "hunter1", "hunter2"),
        Change("timeout_seconds", 10, 20, "hand"),
    )
    before = {"name": "stage-main", "new_cluster": {"spark_env_vars": {"DB_PASSWORD": "hunter1"}}}
    return Plan(
        "app",
        "stage",
        "1.0.2",
        "1.0.1",
        4,
        (
            CreateJob("new", {"name": "stage-new"}, "this release defines it"),
            ResetJob("main", 7, before, before, changes, "this release changes it, and it was changed by hand"),
            SetPermissions(
                "main", 7, (), ({"level": "CAN_VIEW", "group_name": "analysts"},), "this release changes it"
            ),
            RestartJob("main", 7, "it streams, and its settings change"),
            DeleteJob("old", 9, {"name": "stage-old"}, "this release does not define it"),
        ),
        ("x", "y"),
        (Orphan("main", 12, "stage-main copy", "a copy of main (job 7) with the same tags; it is left alone"),),
        (ArtifactChange("jar", "a" * 64, "b" * 64),),
    )


def plan_of_many_jobs() -> Plan:
    def reset(key: str, job_id: int, jar: str) -> ResetJob:
        path = f"dbfs:/{key}/x-1.0.2.jar" if jar == "own" else "dbfs:/x-1.0.2.jar"
        old = f"dbfs:/{key}/x-1.0.1.jar" if jar == "own" else jar
        change = Change("tasks[ingest].libraries", [{"jar": old}], [{"jar": path}])
        return ResetJob(key, job_id, {"name": key}, {"name": key}, (change,), "this release changes it")

    steps = (*(reset(f"job-{n}", n, "own") for n in range(412)), reset("odd", 999, "dbfs:/other-2.jar"))
    return Plan("app", "stage", "1.0.2", "1.0.1", 4, steps, ())


def test_a_plan_is_told_job_by_job_and_field_by_field() -> None:
    assert as_text(plan_of_many_kinds()) == EXPECTED


def test_a_thousand_jobs_that_change_alike_are_told_in_a_few_lines() -> None:
    assert as_text(plan_of_many_jobs()) == MANY
    every = as_text(plan_of_many_jobs(), every_job=True)
    assert every.count("\n") == 413 * 2 + 1
    assert "~ job-411  (job-411, job 411): this release changes it" in every


def test_no_view_of_a_plan_shows_a_secret() -> None:
    plan = plan_of_many_kinds()
    for told in (as_text(plan), as_text(plan, every_job=True), as_markdown(plan), str(shown(plan))):
        assert "hunter" not in told
    assert "hunter1" in str(plan.to_json()), "what is saved and applied is the real thing"


def test_markdown_has_a_row_for_what_changes_alike_and_every_job_beneath() -> None:
    told = as_markdown(plan_of_many_jobs())
    assert told.startswith("### app 1.0.1 → 1.0.2 in stage\n\n**413 to change, 0 unchanged** (state 4)\n")
    row = "| ~ | 412 jobs: job-0, job-1, job-2, job-3, job-4, job-5 and 406 more | "
    assert row + r"tasks\[ingest\].libraries: 1.0.1 → 1.0.2 | this release changes it |" in told
    assert "<details><summary>every job (413 steps)</summary>" in told
    assert "| jar | `aaaaaaaaaaaa` | `bbbbbbbbbbbb` |" in as_markdown(plan_of_many_kinds())


def test_an_empty_plan_says_so() -> None:
    assert summary(Plan("app", "stage", "1", "1", 1, (), ("a",))) == "nothing to do: 1 jobs are as they should be"
    assert plan_of_many_kinds().digest != plan_of_many_jobs().digest


def test_markdown_fits_into_a_pull_request_however_many_jobs_differ() -> None:
    steps = tuple(
        ResetJob(f"job-{n}", n, {"name": "x"}, {"name": "x"}, (Change("description", n, "``` text"),), "why")
        for n in range(3000)
    )
    told = as_markdown(Plan("app", "stage", "1.0.2", "1.0.1", 4, steps, ()))
    assert len(told) < 65_536
    assert "more shapes of change | `headway plan` tells them" in told
    assert "more steps: headway plan stage --every-job\n````\n\n</details>\n" in told
