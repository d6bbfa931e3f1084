"""Job settings as the text of a `jobs/*.yml`, as a person would write it. Pure."""

from collections.abc import Mapping
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):
    """Plain data, indented lists, texts of many lines as blocks, nothing by anchor."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Lists are indented below their key."""
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """A value that stands twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.Node:
    lines = value.splitlines()
    block = len(lines) > 1 and not any(line != line.rstrip() or "\t" in line for line in lines)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if block else None)


_Dumper.add_representer(str, _text)


def as_yaml(key: str, settings: Mapping[str, Any], comment: str = "") -> str:
    """The text of a file that defines one job. `comment` is its first line."""
    head = f"# {comment}\n" if comment else ""
    text = yaml.dump(
        {"resources": {"jobs": {key: dict(settings)}}},
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=110,
        default_flow_style=False,
    )
    return head + str(text)
