"""What a CI system has to run: the line's stages and their commands, from `headway.toml` as it stands in the file.

`${env.…}` is not resolved: where the file is written, nothing of it need be set.
"""

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

WORK = "build/headway"
VERSION, TESTED = f"{WORK}/version", f"{WORK}/tests.json"
SIGNING_KEY = "HEADWAY_SIGNING_KEY"
PACKAGE = "HEADWAY_PACKAGE"
TO_SET = "TO SET"
_REFERENCE = re.compile(r"\$\{env\.([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """An environment of the line. `token_env` is the variable with its token."""

    name: str
    after: str | None
    approval: bool
    gates: bool
    token_env: str


@dataclass(frozen=True)
class Facts:
    """What the files need to know. `folder` is where headway.toml lies in the repository ("" at its top), `variables`
    the names that it reads of the environment and that are no secrets, `secrets` those that are. `junit` are patterns
    of the tests' results, relative to the repository."""

    app: str
    branch: str
    folder: str
    places: tuple[Place, ...]
    variables: tuple[str, ...]
    secrets: tuple[str, ...]
    junit: tuple[str, ...]


@dataclass(frozen=True)
class Stage:
    """One stage. `commands` have `{commit}` where the commit stands. `secrets` are the variables that only this stage
    is given; `keeps` the files that later ones need. `every_branch`: it also checks what is not delivered."""

    id: str
    title: str
    commands: tuple[str, ...]
    secrets: tuple[str, ...] = ()
    keeps: tuple[str, ...] = ()
    approval: str = ""
    place: str = ""
    every_branch: bool = False


def facts_of(data: Mapping[str, Any], folder: str = "") -> Facts:
    """The facts of a parsed headway.toml. It is not checked here: `headway check` does."""
    places = tuple(_ordered(dict(data.get("environments") or {})))
    named = set(_REFERENCE.findall(_text(data))) | {place.token_env for place in places if place.token_env}
    tokens = {place.token_env for place in places}
    secrets = {name for name in named if name in tokens or _SECRET.search(name)}
    prefix = f"{folder}/" if folder else ""
    patterns = [str(glob) for test in data.get("test") or () for glob in test.get("junit") or ()]
    app = data.get("app") or {}
    return Facts(
        app=str(app.get("name", "")),
        branch=str(app.get("branch", "main")),
        folder=folder,
        places=places,
        variables=tuple(sorted(named - secrets)),
        secrets=tuple(sorted(secrets)),
        junit=tuple(f"{WORK}/run-*/checkout/{prefix}{glob}" for glob in patterns),
    )


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return " ".join(_text(entry) for entry in value.values())
    if isinstance(value, list):
        return " ".join(_text(entry) for entry in value)
    return str(value)


def _ordered(environments: dict[str, Any]) -> Iterator[Place]:
    """In the order of the line; what comes after something that is not there, or after itself, comes last."""
    left, done = dict(environments), set[str]()
    while left:
        ready = [name for name, entry in left.items() if entry.get("after") is None or entry["after"] in done]
        for name in ready or list(left):
            entry = left.pop(name)
            done.add(name)
            yield Place(
                name=name,
                after=entry.get("after"),
                approval=bool(entry.get("approval")),
                gates=bool(entry.get("gates")),
                token_env=str(entry.get("token_env", "")),
            )


def stages(facts: Facts) -> tuple[Stage, ...]:
    """The line's stages, in order."""
    root = f" --root {shlex.quote(facts.folder)}" if facts.folder else ""
    version = f'--version "$(cat {VERSION})"'
    shared = tuple(name for name in facts.secrets if name not in {place.token_env for place in facts.places})
    found = [
        Stage("check", "Check", (f"headway check{root}",), shared, every_branch=True),
        Stage(
            "test",
            "Test",
            (f"headway test{root} --verbose --commit {{commit}} --work {WORK} --save {TESTED}",),
            shared,
            (TESTED,),
            every_branch=True,
        ),
        Stage(
            "release",
            "Release",
            (f"headway release{root} --commit {{commit}} --tested {TESTED} --version-file {VERSION}",),
            (*shared, SIGNING_KEY),
            (VERSION,),
        ),
    ]
    for place in facts.places:
        name, secrets = place.name, (*shared, *([place.token_env] if place.token_env else []))
        plan = f"{WORK}/{name}.plan.json"
        # The gates of the environment before have passed for these bytes: `deploy` asks that environment too.
        before = tuple(other.token_env for other in facts.places if other.name == place.after and other.token_env)
        secrets = tuple(dict.fromkeys((*secrets, *before)))
        if place.approval:
            made = f"headway plan {name}{root} {version} --save {plan}"
            found.append(Stage(f"plan-{name}", f"Plan {name}", (made,), secrets, (plan,)))
            applied = f"headway deploy {name}{root} --plan {plan}"
            title = f"Deploy to {name}"
            found.append(Stage(f"deploy-{name}", title, (applied,), secrets, approval=name, place=name))
        else:
            deployed = f"headway deploy {name}{root} {version}"
            found.append(Stage(f"deploy-{name}", f"Deploy to {name}", (deployed,), secrets, place=name))
        if place.gates:
            verified = f"headway verify {name}{root} --take-back"
            found.append(Stage(f"verify-{name}", f"Verify {name}", (verified,), secrets))
    return tuple(found)
