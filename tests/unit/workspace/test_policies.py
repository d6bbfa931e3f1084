"""What a cluster policy makes of a spec."""

import json
from typing import Any

import pytest

from headway.workspace.errors import ApiError
from headway.workspace.services.policies.model import ALL_PURPOSE, JOB, applied, rules


def made(definition: dict[str, Any], spec: dict[str, Any], *, defaults: bool = False, kind: str = JOB) -> Any:
    """The spec by that policy."""
    return applied(rules(json.dumps(definition)), spec, kind, defaults=defaults)


DEFAULT = {"type": "unlimited", "defaultValue": "local.small"}


@pytest.mark.parametrize(
    ("definition", "spec", "defaults", "expected"),
    [
        ({"num_workers": {"type": "fixed", "value": 0}}, {}, False, {"num_workers": 0}),
        ({"num_workers": {"type": "fixed", "value": 0, "isOptional": True}}, {}, True, {}),
        ({"num_workers": {"type": "fixed", "value": "0"}}, {"num_workers": 0}, False, {"num_workers": 0}),
        ({"node_type_id": DEFAULT}, {}, True, {"node_type_id": "local.small"}),
        ({"node_type_id": DEFAULT}, {"node_type_id": "x"}, True, {"node_type_id": "x"}),
        ({"node_type_id": {**DEFAULT, "isOptional": True}}, {}, False, {}),
        ({"spark_conf.a.b": {"type": "fixed", "value": "1", "hidden": True}}, {}, False, {"spark_conf": {"a.b": "1"}}),
        (
            {"custom_tags.team": {"type": "regex", "pattern": "[a-z]+"}},
            {"custom_tags": {"team": "data"}},
            False,
            {"custom_tags": {"team": "data"}},
        ),
        (
            {"init_scripts.0.volumes.destination": {"type": "fixed", "value": "/Volumes/a/b/c/i.sh"},
             "init_scripts.*": {"type": "forbidden"}},
            {},
            False,
            {"init_scripts": [{"volumes": {"destination": "/Volumes/a/b/c/i.sh"}}]},
        ),
        ({"spark_conf.x": {"type": "forbidden"}}, {"spark_conf": {"x.y": "1"}}, False, {"spark_conf": {"x.y": "1"}}),
        ({"cluster_type": {"type": "allowlist", "values": ["job"]}}, {}, False, {}),
        ({"autoscale.max_workers": {"type": "range", "maxValue": 4, "isOptional": True}}, {}, False, {}),
    ],
)  # fmt: skip
def test_a_spec_becomes(
    definition: dict[str, Any], spec: dict[str, Any], defaults: bool, expected: dict[str, Any]
) -> None:
    before = json.dumps(spec)
    assert made(definition, spec, defaults=defaults) == expected
    assert json.dumps(spec) == before


@pytest.mark.parametrize(
    ("definition", "spec", "why"),
    [
        ({"num_workers": {"type": "fixed", "value": 0}}, {"num_workers": 2}, "num_workers, the value must be 0; is 2"),
        ({"node_type_id": DEFAULT}, {}, "node_type_id, the value must be present"),
        ({"node_type_id": {"type": "allowlist", "values": ["a", "b"]}}, {"node_type_id": "c"}, "one of"),
        ({"node_type_id": {"type": "blocklist", "values": ["a", "b"]}}, {"node_type_id": "a"}, "must not be one of"),
        ({"spark_version": {"type": "regex", "pattern": "4.*"}}, {"spark_version": "3.5-4"}, "must match"),
        ({"autoscale.max_workers": {"type": "range", "maxValue": 4}}, {"autoscale": {"max_workers": 5}}, "at most 4"),
        ({"autotermination_minutes": {"type": "range", "minValue": 10}}, {"autotermination_minutes": 0}, "at least 10"),
        ({"autotermination_minutes": {"type": "range", "minValue": 1}}, {"autotermination_minutes": "x"}, "a number"),
        ({"spark_conf.x.y": {"type": "forbidden"}}, {"spark_conf": {"x.y": "1"}}, "must not be set"),
        ({"init_scripts.*.s3.destination": {"type": "regex", "pattern": "s3://ok/.*"}},
         {"init_scripts": [{"s3": {"destination": "s3://ok/a"}}, {"s3": {"destination": "s3://no/a"}}]},
         r"init_scripts\.1"),
        ({"cluster_type": {"type": "fixed", "value": ALL_PURPOSE}}, {}, "cluster_type"),
        ({"spark_conf.a": {"type": "fixed", "value": "1"}}, {"spark_conf": "x"}, "cannot be set"),
    ],
)  # fmt: skip
def test_a_spec_is_refused(definition: dict[str, Any], spec: dict[str, Any], why: str) -> None:
    with pytest.raises(ApiError, match=why):
        made(definition, spec)


@pytest.mark.parametrize(
    "definition",
    [
        None, "", "[]", "{", '{"a": 1}', '{"a": {"type": "odd"}}', '{"a": {"type": "fixed"}}', "[" * 5000,
        '{"a": {"type": "regex", "pattern": "("}}', '{"a": {"type": "range", "minValue": "x"}}',
        '{"a": {"type": "allowlist", "values": []}}', '{"a..b": {"type": "forbidden"}}', '{"a": {"type": ["fixed"]}}',
        '{"dbus_per_hour": {"type": "range", "maxValue": 1}}',
    ],
)  # fmt: skip
def test_a_definition_that_cannot_be_is_refused(definition: object) -> None:
    with pytest.raises(ApiError):
        rules(definition)
