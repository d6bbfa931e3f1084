"""A plan as a person reads it."""

from headway.core.plan import Change, CreateJob, DeleteJob, Plan, ResetJob
from headway.core.rendering import as_text, summary

EXPECTED = """\
app 1.0.1 → 1.0.2 in stage
  + new  (stage-new): a new job
  ~ main  (stage-main, job 7)
      tasks[a].libraries[jar=x-1.0.1.jar].jar: x-1.0.1.jar (removed)
      tasks[a].libraries[jar=x-1.0.2.jar].jar: x-1.0.2.jar (new)
      timeout_seconds: 10 → 20
  - old  (stage-old, job 9): not wanted any more
1 to create, 1 to change, 1 to delete, 2 unchanged"""


def test_a_plan_is_told_job_by_job_and_field_by_field() -> None:
    changes = (
        Change("tasks[a].libraries[jar=x-1.0.1.jar].jar", "x-1.0.1.jar", None),
        Change("tasks[a].libraries[jar=x-1.0.2.jar].jar", None, "x-1.0.2.jar"),
        Change("timeout_seconds", 10, 20),
    )
    steps = (
        CreateJob("new", {"name": "stage-new"}),
        ResetJob("main", 7, {"name": "stage-main"}, {"name": "stage-main"}, changes),
        DeleteJob("old", 9, {"name": "stage-old"}),
    )
    plan = Plan("app", "stage", "1.0.2", "1.0.1", 4, steps, ("x", "y"))
    assert as_text(plan) == EXPECTED
    assert plan.digest != Plan("app", "stage", "1.0.2", "1.0.1", 5, steps, ("x", "y")).digest


def test_an_empty_plan_says_so() -> None:
    assert summary(Plan("app", "stage", "1", "1", 1, (), ("a",))) == "nothing to do: 1 jobs are as they should be"
