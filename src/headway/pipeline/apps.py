"""Registered applications, in the database."""

import secrets
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from headway.core.configuration import Files
from headway.core.errors import HeadwayError
from headway.pipeline.database import Database, now_ms
from headway.pipeline.model import App
from headway.pipeline.tables import apps


def app_of(row: RowMapping) -> App:
    """A row as a value."""
    fields: dict[str, Any] = {str(key): value for key, value in row.items() if key != "configuration"}
    fields["branches"] = tuple(fields["branches"])
    return App(**fields)


class AppStore:
    """The table of applications."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, app: App) -> App:
        """Register it; its webhook secret comes into being now. Raise HeadwayError APP_EXISTS."""
        made = replace(app, created_ms=now_ms(), webhook_salt=app.webhook_salt or secrets.token_hex(16))
        try:
            self._db.run(lambda c: c.execute(insert(apps).values(asdict(made) | {"branches": list(made.branches)})))
        except IntegrityError:
            raise HeadwayError("APP_EXISTS", name=app.name) from None
        return made

    def replace(self, app: App) -> App:
        """Change everything about it but its name. Raise HeadwayError APP_UNKNOWN."""
        values = {k: v for k, v in asdict(app).items() if k not in ("name", "created_ms")}
        values["branches"] = list(app.branches)
        if not self._db.run(lambda c: c.execute(update(apps).where(apps.c.name == app.name).values(values)).rowcount):
            raise HeadwayError("APP_UNKNOWN", name=app.name)
        return app

    def remove(self, name: str) -> None:
        """Forget it; its runs stay, for the report. Raise HeadwayError APP_UNKNOWN."""
        if not self._db.run(lambda c: c.execute(delete(apps).where(apps.c.name == name)).rowcount):
            raise HeadwayError("APP_UNKNOWN", name=name)

    def all(self) -> list[App]:
        """Every one, by name."""
        rows = self._db.run(lambda c: c.execute(select(apps).order_by(apps.c.name)).mappings().all())
        return [app_of(row) for row in rows]

    def get(self, name: str) -> App:
        """Raise HeadwayError APP_UNKNOWN."""
        row = self._db.run(lambda c: c.execute(select(apps).where(apps.c.name == name)).mappings().first())
        if row is None:
            raise HeadwayError("APP_UNKNOWN", name=name)
        return app_of(row)

    def set_problem(self, name: str, problem: str) -> None:
        """Say, or no longer say, why its repository cannot be used."""
        self._db.run(
            lambda c: c.execute(
                update(apps).where(apps.c.name == name, apps.c.problem != problem).values(problem=problem)
            )
        )

    def keep_configuration(self, name: str, files: Files) -> None:
        """Remember the configuration's texts: what the pages show of an application comes from them."""
        texts = {"toml": files.toml, "jobs": dict(files.jobs)}
        self._db.run(lambda c: c.execute(update(apps).where(apps.c.name == name).values(configuration=texts)))

    def configuration(self, name: str) -> Files | None:
        """The texts; None before the first run."""
        row = self._db.run(lambda c: c.execute(select(apps.c.configuration).where(apps.c.name == name)).first())
        if row is None:
            raise HeadwayError("APP_UNKNOWN", name=name)
        return Files(row[0]["toml"], row[0]["jobs"]) if row[0] else None
