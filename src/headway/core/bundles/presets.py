"""What a bundle says of all its jobs at once: mode, presets, permissions, run_as, and the CLI's own defaults."""

from collections.abc import Mapping

from headway.core.bundles.interpolation import short_name
from headway.core.bundles.tree import Misfit, Node

# `permissions` of a bundle in the words of jobs.
LEVELS = {"CAN_MANAGE": "CAN_MANAGE", "CAN_VIEW": "CAN_VIEW", "CAN_RUN": "CAN_MANAGE_RUN"}
_DEVELOPMENT_RUNS = 4
_TRIGGERS = ("schedule", "trigger", "continuous")


def with_mode(presets: Node, mode: Node | None, user: str | None) -> Node:
    """The presets, with those that `mode: development` implies for jobs. Raise Misfit."""
    if mode is None or mode.value is None:
        return presets
    if mode.value not in ("development", "production"):
        raise Misfit(mode.at, "mode", f"{mode.value!r} is neither development nor production")
    if mode.value == "production":
        return presets
    if user is None:
        hint = "set bundle_user of the environment in headway.toml"
        raise Misfit(
            mode.at, "mode", "development puts the user's name before each job's, and who that is is not known", hint
        )
    short = short_name(user)
    given = dict(presets.items())
    tags = dict(given["tags"].items()) if "tags" in given else {}
    implied = {
        "name_prefix": Node(f"[dev {short}] ", mode.at),
        "jobs_max_concurrent_runs": Node(_DEVELOPMENT_RUNS, mode.at),
        "trigger_pause_status": Node("PAUSED", mode.at),
    }
    return Node({**implied, **given, "tags": Node({"dev": Node(short, mode.at), **tags}, mode.at)}, presets.at)


def with_presets(job: Node, presets: Node) -> Node:
    """A job with what the presets say. Its own word counts first, but for the name, which they come before."""
    prefix = presets.get("name_prefix")
    name = job.get("name") or Node("Untitled", job.at)
    job = job.put("name", Node(f"{prefix.value if prefix is not None else ''}{name.value}", name.at))
    tags = presets.get("tags")
    if tags is not None and tags.value:
        own = dict(job.get("tags").items()) if job.get("tags") is not None else {}  # type: ignore[union-attr]
        job = job.put("tags", Node({**dict(tags.items()), **own}, tags.at))
    runs = presets.get("jobs_max_concurrent_runs")
    if runs is not None and job.get("max_concurrent_runs") is None:
        job = job.put("max_concurrent_runs", runs)
    pause = presets.get("trigger_pause_status")
    for trigger in _TRIGGERS:
        section = job.get(trigger)
        if section is not None and isinstance(section.value, Mapping) and section.get("pause_status") is None and pause:
            job = job.put(trigger, section.put("pause_status", pause))
    if job.get("queue") is None:
        job = job.put("queue", Node({"enabled": Node(True, job.at)}, job.at))
    return job


def with_permissions(job: Node, permissions: Node | None) -> Node:
    """A job with the bundle's permissions beside its own; whom it names itself, it says everything of. Raise Misfit."""
    if permissions is None or not permissions.elements():
        return job
    own = job.get("permissions") or Node([], permissions.at)
    named = [_principal(entry) for entry in own.elements()]
    added = []
    for number, entry in enumerate(permissions.elements()):
        level = entry.get("level")
        if level is None or level.value not in LEVELS:
            raise Misfit(entry.at, f"permissions.{number}.level", f"must be one of {', '.join(LEVELS)}")
        if _principal(entry) not in named:
            added.append(entry.put("level", Node(LEVELS[str(level.value)], level.at)))
    return job.put("permissions", Node([*own.elements(), *added], own.at))


def _principal(entry: Node) -> tuple[tuple[str, object], ...]:
    return tuple(sorted((key, node.value) for key, node in entry.items() if key != "level"))


def with_run_as(job: Node, run_as: Node | None) -> Node:
    """A job that says nothing of its own runs as the bundle says."""
    return job if run_as is None or job.get("run_as") is not None else job.put("run_as", run_as)
