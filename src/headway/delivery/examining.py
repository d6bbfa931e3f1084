"""What a release must be before anything of an environment is touched: genuine, byte by byte."""

from headway.adapters.objectstore import ObjectStore
from headway.core.application import Application
from headway.core.events import Emit
from headway.core.release import Release
from headway.delivery.steps import step


def examine(store: ObjectStore, app: Application, environment: str, release: Release, emit: Emit) -> None:
    """Raise HeadwayError RELEASE_NOT_GENUINE."""
    from headway.delivery.verifying import require_genuine  # slow to import

    with step(emit, "verify", str(release.version), environment) as note:
        found = require_genuine(store, release, app.signing)
        note.detail = f"signed by {found.signer[:12]}" if found.signer else "digests; not signed"
