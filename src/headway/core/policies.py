"""Cluster policies as part of an application: read from its job files, compared, planned. Pure.

A policy is known by its name, which is unique in a workspace; the ledger keeps its settings beside those of jobs, under
`policy:KEY`. Jobs refer to it by `${resources.cluster_policies.KEY.id}`.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from headway.core.application import Application, Environment, JobDefinition
from headway.core.diagnostics import Diagnostic
from headway.core.references import POLICY, found_in, meanings, problem, resolve
from headway.core.release import Release
from headway.core.sources import Source, read_yaml
from headway.core.steps import Change, DeletePolicy, SetPolicy, Settings, Step

SECTION = "cluster_policies"
FIELDS = ("name", "definition", "description", "max_clusters_per_user")


def is_policy(key: str) -> bool:
    """Whether a key of recorded settings is a policy's."""
    return key.startswith(POLICY)


def jobs_only(settings: Mapping[str, Settings]) -> dict[str, Settings]:
    """Recorded or wanted settings without those of policies."""
    return {key: value for key, value in settings.items() if not is_policy(key)}


def policies_only(settings: Mapping[str, Settings]) -> dict[str, Settings]:
    """Those of policies."""
    return {key: value for key, value in settings.items() if is_policy(key)}


def read_policies(texts: Mapping[str, str]) -> tuple[dict[str, JobDefinition], list[Diagnostic]]:
    """The policies of all job files (`resources.cluster_policies`) by key, and what is wrong with them."""
    found: dict[str, JobDefinition] = {}
    problems: list[Diagnostic] = []
    for file, text in sorted(texts.items()):
        if SECTION not in text:
            continue  # most files: reading YAML of a thousand jobs once is enough
        source = read_yaml(file, text)
        resources = source.data.get("resources") if isinstance(source, Source) else None
        if not isinstance(source, Source) or not isinstance(resources, dict) or SECTION not in resources:
            continue  # what is no YAML is told with the jobs
        base = f"resources.{SECTION}"
        policies = resources[SECTION]
        if not isinstance(policies, dict):
            problems.append(Diagnostic(source.at(base), base, "expected a mapping of policies by key"))
            continue
        for key, settings in policies.items():
            path = f"{base}.{key}"
            if not isinstance(settings, dict):
                problems.append(Diagnostic(source.at(path), path, "expected the policy's settings"))
                continue
            if key in found:
                message = f"the policy {key} is defined in {found[key].location} as well"
                problems.append(Diagnostic(source.at(path), path, message))
                continue
            problems.extend(
                Diagnostic(source.at(f"{path}.{name}"), f"{path}.{name}", message) for name, message in _wrong(settings)
            )
            found[str(key)] = JobDefinition(str(key), settings, source.at(path))
    return found, problems


def _wrong(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name in settings:
        if name not in FIELDS:
            yield str(name), f"unknown key; known here: {', '.join(FIELDS)}"
    if not isinstance(settings.get("name"), str) or not settings["name"]:
        yield "name", "a policy needs a name"
    if _definition(settings.get("definition")) is None:
        yield "definition", "a policy needs a definition: rules by attribute, or the same as JSON text"
    most = settings.get("max_clusters_per_user")
    if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
        yield "max_clusters_per_user", "expected a whole number above 0"


def _definition(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return value if isinstance(value, dict) else None


def check_policies(app: Application) -> Iterator[Diagnostic]:
    """References without meaning, names that two policies share."""
    artifacts = {artifact.name: artifact for artifact in app.artifacts}
    names: dict[str, str] = {}
    for policy in app.policies.values():
        base = f"resources.{SECTION}.{policy.key}"
        for found in found_in(policy.settings):
            message = problem(found.name, artifacts, app.environments)
            if found.name.startswith("resources."):
                message = "a policy refers to no other resource"
            if message:
                yield Diagnostic(policy.location, f"{base}.{found.path}", f"${{{found.name}}}: {message}")
        name = str(policy.settings.get("name"))
        if name in names:
            yield Diagnostic(policy.location, f"{base}.name", f"the policy {names[name]} has the same name")
        names[name] = policy.key


def desired_policies(app: Application, release: Release, environment: Environment) -> dict[str, Settings]:
    """The settings that each policy should have: references resolved, the environment's prefix before its name."""
    known = meanings(app, release, environment)
    result: dict[str, Settings] = {}
    for key, policy in app.policies.items():
        settings = resolve(dict(policy.settings), known)
        definition = json.dumps(_definition(settings["definition"]) or {}, sort_keys=True)
        name = f"{environment.prefix}{settings['name']}"
        result[f"{POLICY}{key}"] = {**settings, "name": name, "definition": definition}
    return result


def policy_changes(before: Settings, after: Settings) -> tuple[Change, ...]:
    """The fields that differ: those of the definition by attribute."""
    old, new = _fields(before), _fields(after)
    return tuple(
        Change(path, old.get(path), new.get(path)) for path in sorted({*old, *new}) if old.get(path) != new.get(path)
    )


def _fields(settings: Settings) -> dict[str, Any]:
    found = {name: settings[name] for name in ("name", "description", "max_clusters_per_user") if settings.get(name)}
    definition = _definition(settings.get("definition"))
    rules = {"": settings.get("definition")} if definition is None else definition
    return found | {f"definition.{name}": rule for name, rule in rules.items()}


def policy_steps(
    wanted: Mapping[str, Settings], observed: Mapping[str, Settings], recorded: Mapping[str, Settings]
) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The steps that come before those of jobs, and those that come after all others.

    `observed` are the workspace's policies by name, with their `policy_id`; `recorded` those that the last deployment
    left, by key as `wanted`.
    """
    first: list[Step] = []
    for key, settings in wanted.items():
        current = observed.get(str(settings["name"])) or observed.get(str(recorded.get(key, {}).get("name")))
        if current is None:
            reason = "it is gone from the workspace" if key in recorded else "this release defines it"
            first.append(SetPolicy(key, None, settings, (), reason))
            continue
        changes = policy_changes(current, settings)
        if changes:
            by_hand = key in recorded and not policy_changes(recorded[key], settings)
            reason = "it was changed by hand" if by_hand else "this release changes it"
            if key not in recorded:
                reason = "a policy of this name is there; it is taken over"
            first.append(SetPolicy(key, _kept(current), settings, changes, reason))
    last: list[Step] = [
        DeletePolicy(key, _kept(observed[str(settings["name"])]), "this release does not define it")
        for key, settings in recorded.items()
        if key not in wanted and str(settings["name"]) in observed
    ]
    return tuple(first), tuple(last)


def _kept(policy: Settings) -> dict[str, Any]:
    """What of an observed policy is needed to bring it back."""
    return {name: policy[name] for name in ("policy_id", *FIELDS) if policy.get(name) is not None}
