"""Put two environments beside each other. Reads only."""

from headway.core.application import Application
from headway.core.parity import Parity, Side, differences
from headway.core.plan import desired
from headway.core.policies import jobs_only
from headway.core.references import with_job_ids
from headway.core.release import Release
from headway.delivery.observing import observe
from headway.delivery.policies import observed_policies, policy_ids
from headway.delivery.releasing import load_release
from headway.delivery.target import Target


def compare(left: Target, right: Target) -> Parity:
    """`left`, which mirrors, against `right`, both as the release that stands in `left` would leave them.

    Raise HeadwayError NOTHING_DEPLOYED where none stands there.
    """
    from headway.delivery.deploying import require_standing

    version = require_standing(left)
    release = load_release(left.store, left.app.name, version)
    sides = [_side(target, left.app, release) for target in (left, right)]
    today = left.clock.now().date()
    found = differences(sides[0], sides[1], left.app.parity, today)
    jobs = len({*sides[0].wanted, *sides[1].wanted})
    return Parity(left.app.name, left.environment.name, right.environment.name, version, jobs, found)


def _side(target: Target, app: Application, release: Release) -> Side:
    state = target.ledger.state()
    recorded = target.ledger.deployment(state.deployment).settings if state.deployment else {}
    observed = observe(target.connection, target.app, target.environment, state.jobs)
    stands = {job.key: job.settings for job in sorted(observed, key=lambda job: -job.job_id)}
    ids: dict[str, int | str] = {**state.jobs, **policy_ids(observed_policies(target.connection, recorded), recorded)}
    return Side(
        environment=target.environment,
        definitions=app.jobs_in(target.environment),
        wanted=desired(app, release, target.environment),
        recorded={key: with_job_ids(settings, ids) for key, settings in jobs_only(recorded).items()},
        observed=stands,
    )
