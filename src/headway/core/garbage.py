"""Which releases are still needed, and why. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from headway.core.ledger import Deployment, EnvironmentState
from headway.core.release import Version


@dataclass(frozen=True)
class Rules:
    """What is always kept: the newest `builds` releases, and in each environment the last `rollbacks` versions that
    stood there, the present one among them."""

    builds: int = 10
    rollbacks: int = 5


@dataclass(frozen=True)
class Thing:
    """One file or folder that goes: `where` is `store`, or an environment's name; `size` in bytes, where known."""

    where: str
    path: str
    size: int = 0


@dataclass(frozen=True)
class Doomed:
    """A release that nothing refers to, and what of it is still there."""

    version: str
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class Garbage:
    """What was found. `kept` tells of each release why it stays; `applied` says whether the rest was removed."""

    app: str
    kept: Mapping[str, tuple[str, ...]]
    doomed: tuple[Doomed, ...]
    applied: bool = False

    @property
    def size(self) -> int:
        """The bytes that go, as far as they are known."""
        return sum(thing.size for entry in self.doomed for thing in entry.things)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "size": self.size}


def needed(
    versions: Iterable[Version],
    rules: Rules,
    states: Mapping[str, EnvironmentState],
    unfinished: Mapping[str, Sequence[Deployment]],
    mentions: Mapping[str, Sequence[str]],
) -> dict[str, tuple[str, ...]]:
    """The versions that must stay, the newest first, each with every reason.

    `states` and `unfinished` are those of each environment; `mentions` says of a version who refers to its files: jobs,
    active runs, clusters, notebooks.
    """
    ordered = sorted(versions, reverse=True)
    found: dict[str, list[str]] = {str(version): [] for version in ordered}

    def note(version: str | None, reason: str) -> None:
        if version in found and reason not in found[version]:
            found[version].append(reason)

    for number, version in enumerate(ordered):
        if number < max(rules.builds, 1):
            note(str(version), "the last build" if number == 0 else f"among the newest {rules.builds}")
    for name, state in states.items():
        note(state.version, f"stands in {name}")
        for stood in _last(state, rules.rollbacks):
            note(stood, f"{name} can be rolled back to it")
        for deployment in unfinished.get(name, ()):
            note(deployment.version, f"deployment {deployment.id} to {name} is not finished")
            note(deployment.previous, f"deployment {deployment.id} to {name} may be taken back to it")
    for mentioned, reasons in mentions.items():
        for reason in reasons:
            note(mentioned, reason)
    return {version: tuple(reasons) for version, reasons in found.items() if reasons}


def _last(state: EnvironmentState, most: int) -> list[str]:
    stood = [entry.version for entry in reversed(state.history) if entry.version is not None]
    return list(dict.fromkeys(stood))[:most]


def as_text(found: Garbage) -> str:
    """For a terminal."""
    lines = [f"{found.app}: {len(found.kept)} release(s) stay, {len(found.doomed)} are needed by nothing"]
    lines += [f"  = {version}: {'; '.join(reasons)}" for version, reasons in found.kept.items()]
    for entry in found.doomed:
        lines.append(f"  - {entry.version}")
        lines += [f"      {thing.where}: {thing.path}{_size(thing.size)}" for thing in entry.things]
    if not found.doomed:
        lines.append("nothing to remove")
    elif found.applied:
        lines.append(f"removed{_size(found.size)}; the records of these releases stay, for the history")
    else:
        lines.append(f"nothing was removed{_size(found.size)}: `headway gc --apply` does that")
    return "\n".join(lines)


def _size(size: int) -> str:
    if not size:
        return ""
    return f" ({size / 1e6:.1f} MB)" if size >= 1e5 else f" ({size} bytes)"
