"""A sample of the chaos sweep (`make chaos` runs all of it): the deployer killed or disturbed at some of its calls."""

from chaos.sweep import SCENARIOS, every_point, sweeping


def test_whatever_happens_at_a_call_the_fleet_ends_all_new_or_all_old() -> None:
    with sweeping() as sweep:
        points = list(every_point(sweep, every=19))
    assert [point for point in points if not point.converged] == []
    assert {point.scenario for point in points} == {scenario.name for scenario in SCENARIOS}
    assert {point.kind for point in points} >= {"kill before", "kill after", "lost answer"}
