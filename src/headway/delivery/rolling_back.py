"""Bring an environment back to what stood there before, as one unit: code and job settings both."""

from typing import Any

from headway.core.errors import HeadwayError
from headway.core.ledger import EnvironmentState, Standing
from headway.core.release import Release
from headway.core.rendering import summary
from headway.delivery.deploying import Target, bring_artifacts, change, finish_interrupted, make_plan
from headway.delivery.releasing import load_release, require_kept
from headway.delivery.steps import step


def rollback(target: Target, to: str | None = None, *, unverified: bool = False) -> EnvironmentState:
    """Bring the environment to version `to` as it last stood there, or to the version before the present one.

    The settings are those that the ledger recorded then, not today's files; what was changed by hand since is changed
    back with the rest. The release is verified, signature and every byte, before anything is touched, unless somebody
    answers for it (`unverified`). Raise HeadwayError ROLLBACK_IMPOSSIBLE, RELEASE_NOT_GENUINE.
    """
    with target.ledger.locked(target.clock) as hold:
        finish_interrupted(target, hold)
        standing = _choose(target, to)
        with step(target.emit, "rollback", f"to {standing.version or 'nothing'}", target.environment.name) as note:
            release = load_release(target.store, target.app.name, standing.version) if standing.version else None
            if release is not None:
                require_kept(target.store, release)
                if not unverified:
                    _verify(target, release)
                bring_artifacts(target, release)
            settings = settings_at(target, standing)
            note.detail = summary(make_plan(target, release, settings))
            return change(target, release, settings, hold, kind="rollback")


def _verify(target: Target, release: Release) -> None:
    """Raise HeadwayError RELEASE_NOT_GENUINE unless it is what once was signed."""
    from headway.delivery.verifying import require_genuine  # slow to import

    with step(target.emit, "verify", str(release.version), target.environment.name) as note:
        found = require_genuine(target.store, release, target.app.signing)
        note.detail = f"signed by {found.signer[:12]}" if found.signer else "digests; not signed"


def take_environment_back(target: Target, before: EnvironmentState) -> EnvironmentState:
    """After a refused release: bring the environment to the state `before` its deployment; to nothing where there was
    none."""
    if before.version is not None:
        return rollback(target, before.version)
    with (
        target.ledger.locked(target.clock) as hold,
        step(target.emit, "rollback", "to nothing: there was no version before", target.environment.name),
    ):
        finish_interrupted(target, hold)
        # Jobs that were adopted stood there before any release: they go back to that, they do not go.
        settings = target.ledger.deployment(before.deployment).settings if before.deployment else {}
        return change(target, None, settings, hold, kind="rollback")


def settings_at(target: Target, standing: Standing) -> dict[str, Any]:
    """The settings of every job as they stood then. A job that was adopted since stays, as it was when it was
    adopted: it is older than any release."""
    settings = dict(target.ledger.deployment(standing.deployment).settings)
    since = [entry for entry in target.ledger.state().history if entry.deployment > standing.deployment]
    for entry in since:
        if entry.kind == "adopt":
            made = target.ledger.deployment(entry.deployment)
            for step in made.steps:
                settings.setdefault(step.key, made.settings[step.key])
    return settings


def _choose(target: Target, to: str | None) -> Standing:
    state = target.ledger.state()
    name = target.environment.name
    if state.version is None and to is None:
        raise HeadwayError("ROLLBACK_IMPOSSIBLE", environment=name, reason="nothing is deployed there")
    if to is None:
        before = state.before()
        if before is None:
            reason = f"{state.version} is the first version there"
            raise HeadwayError("ROLLBACK_IMPOSSIBLE", environment=name, reason=reason)
        return before
    stood = [entry for entry in state.history if entry.version == to]
    if not stood:
        known = ", ".join(sorted({entry.version for entry in state.history if entry.version})) or "none"
        reason = f"{to} never stood there; versions that did: {known}"
        raise HeadwayError("ROLLBACK_IMPOSSIBLE", environment=name, reason=reason)
    return stood[-1]
