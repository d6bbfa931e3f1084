"""Contexts and commands as the API tells of them. Pure. Source: Databricks REST API, "Command Execution" (1.2)."""

import json
from dataclasses import dataclass
from typing import Any

from headway.workspace.errors import ApiError, invalid
from headway.workspace.runtime.tasks import CommandOutcome, ContextLanguage

LANGUAGES: dict[str, ContextLanguage] = {"python": "PYTHON", "sql": "SQL", "scala": "SCALA"}


@dataclass
class Command:
    """A command: `status` is Queued, Running, Cancelling, Finished, Cancelled or Error."""

    command_id: str
    language: ContextLanguage
    text: str
    status: str = "Queued"
    outcome: CommandOutcome | None = None

    def to_json(self) -> dict[str, Any]:
        """As `commands/status` answers it."""
        return {
            "id": self.command_id,
            "status": self.status,
            "results": None if self.outcome is None else results(self.outcome),
        }


def language(named: str) -> ContextLanguage:
    """Raise ApiError for one that is not served."""
    if named.lower() not in LANGUAGES:
        raise invalid(f"Unsupported language {named[:20]}: this workspace runs {', '.join(LANGUAGES)}")
    return LANGUAGES[named.lower()]


def required(value: str, name: str) -> str:
    """The service's own words for a field that is missing: clients look for them."""
    if not value:
        raise ApiError("INVALID_PARAMETER_VALUE", f"requirement failed: missing {name}")
    return value


def status(outcome: CommandOutcome) -> str:
    """The status after a command ended: an error of its code is a result like any other."""
    if outcome.state == "CANCELED":
        return "Cancelled"
    return "Error" if outcome.lost else "Finished"


def results(outcome: CommandOutcome) -> dict[str, Any]:
    """The `results` block."""
    if outcome.state != "FINISHED":
        summary = outcome.summary or "Command was cancelled"
        return {"resultType": "error", "summary": summary, "cause": outcome.cause or summary}
    if outcome.kind == "table":
        schema = [
            {"name": column.name, "type": column.type_json, "metadata": json.dumps({})} for column in outcome.columns
        ]
        data = [list(row) for row in outcome.rows]
        about = {"schema": schema, "isJsonSchema": True, "truncated": outcome.truncated}
        return {"resultType": "table", "data": data, **about}
    if outcome.kind == "image":
        return {"resultType": "image", "fileName": f"data:image/png;base64,{outcome.text}"}
    told: dict[str, Any] = {"resultType": "text", "data": outcome.text}
    return {**told, "truncated": True} if outcome.truncated else told
