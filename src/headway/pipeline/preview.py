"""What a pull request's commit would become: built, not kept, so that its plan can be shown."""

from pathlib import Path

from headway.adapters.objectstore import ObjectStore
from headway.core.events import Emit, Planned
from headway.core.plan import Plan
from headway.core.release import Release, Version
from headway.core.rendering import as_text
from headway.delivery.building import build_all
from headway.delivery.making import Checkout
from headway.delivery.releasing import artifact_of, last_build
from headway.delivery.steps import step
from headway.delivery.toolchain import Toolchain


def preview_release(checkout: Checkout, store: ObjectStore, work: Path, tools: Toolchain, emit: Emit) -> Release:
    """The release that the commit would be, with the number that would come next. Takes none, stores nothing."""
    app, commit = checkout.app, checkout.commit
    last = last_build(store, app.name)
    version = Version(*app.version, last.build + 1 if last else 1)
    logs = work / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with step(emit, "build", ", ".join(artifact.name for artifact in app.artifacts)) as note:
        built = build_all(app, checkout.folder, str(version), work / "preview", logs, tools, emit)
        note.detail = f"{len(built)} artifacts, not kept"
    return Release(
        app=app.name,
        version=version,
        commit=commit.sha,
        branch=commit.branch,
        subject=commit.subject,
        author=commit.author,
        created_at="",
        spark=tools.spark,
        scala=tools.scala,
        spark_version_key=tools.spark_version_key,
        artifacts={name: artifact_of(file, app.name, version) for name, file in built.items()},
        tests=(),
    )


def planned(plan: Plan) -> Planned:
    """The event that a plan was made."""
    return Planned(plan.to_json(), as_text(plan))
