"""The four figures, from plain records."""

from headway.pipeline.dora import DAY_MS, WEEK_MS, buckets, changes, figures
from headway.pipeline.model import DeploymentRecord

HOUR = 3_600_000
MONDAY = 2_800 * WEEK_MS + 4 * DAY_MS


class Team:
    """Writes records down; times are hours."""

    def __init__(self) -> None:
        self.records: list[DeploymentRecord] = []

    def did(
        self, outcome: str, version: str, at: float, *, run: int = 0, committed: float | None = None, took: float = 0.5
    ) -> None:
        ended = MONDAY + int(at * HOUR)
        number = len(self.records) + 1
        self.records.append(
            DeploymentRecord(
                id=number,
                app="scoring",
                environment="production",
                run=run or number,
                version=version,
                outcome=outcome,  # type: ignore[arg-type]
                committed_ms=None if committed is None else MONDAY + int(committed * HOUR),
                started_ms=ended - int(took * HOUR),
                ended_ms=ended,
            )
        )

    def figures(self, hours: float = 168) -> tuple[int, int, int, float | None, float | None, float | None]:
        found = figures(changes(self.records), MONDAY, MONDAY + int(hours * HOUR))
        lead = None if found.lead_seconds is None else found.lead_seconds / 3600
        restore = None if found.restore_seconds is None else found.restore_seconds / 3600
        return found.changes, found.stood, found.failed, lead, found.failure_rate, restore


def test_lead_time_is_the_median_from_commit_to_standing_there() -> None:
    team = Team()
    for hour, lead in ((10, 1), (20, 3), (30, 11)):
        team.did("converged", f"1.0.{hour}", hour, committed=hour - lead)
    assert team.figures() == (3, 3, 0, 3.0, 0.0, None)


def test_deploying_what_stands_already_is_no_change() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10, committed=9)
    team.did("converged", "1.0.1", 40, committed=9)
    assert team.figures() == (1, 1, 0, 1.0, 0.0, None)


def test_a_gate_that_refuses_makes_one_failed_change_of_two_records() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10, committed=9)
    team.did("converged", "1.0.2", 20, run=7, committed=19)
    team.did("refused", "1.0.2", 22, run=7)
    team.did("converged", "1.0.3", 30, committed=29)
    assert team.figures() == (3, 3, 1, 1.0, 1 / 3, 2.0)


def test_a_rollback_says_that_what_stood_was_bad_from_when_it_stood() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10)
    team.did("converged", "1.0.2", 20)
    team.did("rollback", "1.0.1", 25)
    team.did("rollback", "1.0.1", 26)  # a second one takes nothing more back
    assert team.figures() == (2, 2, 1, None, 0.5, 5.0)


def test_what_never_stood_is_a_change_that_failed() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10)
    team.did("failed", "1.0.2", 20, took=0.25)
    assert team.figures() == (2, 1, 1, None, 0.5, 0.25)


def test_a_version_that_comes_back_after_a_rollback_has_no_second_lead_time() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10)
    team.did("converged", "1.0.2", 20, committed=19)
    team.did("rollback", "1.0.1", 21)
    team.did("converged", "1.0.2", 90, committed=19)
    assert team.figures()[:4] == (3, 3, 1, 1.0)


def test_environments_do_not_touch_each_other() -> None:
    team = Team()
    team.did("converged", "1.0.1", 10)
    elsewhere = DeploymentRecord(9, "scoring", "stage", 9, "1.0.0", "rollback", None, MONDAY, MONDAY + 20 * HOUR)
    assert [entry.failed for entry in changes([*team.records, elsewhere])] == [False]


def test_only_what_ended_in_the_period_counts_but_what_stood_before_is_known() -> None:
    team = Team()
    team.did("converged", "1.0.1", -30)
    team.did("converged", "1.0.1", 10)
    assert team.figures() == (0, 0, 0, None, None, None)


def test_nothing_gives_no_figures_and_no_fault() -> None:
    found = figures([], MONDAY, MONDAY + WEEK_MS)
    assert (found.per_week, found.lead_seconds, found.failure_rate, found.restore_seconds) == (0, None, None, None)


def test_over_time_is_by_day_at_first_and_by_week_from_monday_later() -> None:
    team = Team()
    team.did("converged", "1.0.1", 30)
    found = changes(team.records)
    days = buckets(found, MONDAY, MONDAY + WEEK_MS)
    assert [bucket.figures.stood for bucket in days] == [0, 1, 0, 0, 0, 0, 0]
    weeks = buckets(found, MONDAY - 10 * DAY_MS, MONDAY + 10 * DAY_MS)
    assert [(bucket.start_ms - MONDAY) // DAY_MS for bucket in weeks] == [-14, -7, 0, 7]
    assert [bucket.figures.stood for bucket in weeks] == [0, 0, 1, 0]


def test_deployments_a_week_are_of_the_length_of_the_period() -> None:
    team = Team()
    for number in range(6):
        team.did("converged", f"1.0.{number}", number * 40 + 1)
    found = figures(changes(team.records), MONDAY, MONDAY + 2 * WEEK_MS)
    assert found.per_week == 3.0
