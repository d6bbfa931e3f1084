"""The workspace's settings in the database."""

from collections.abc import Mapping

from sqlalchemy import Engine, delete, insert

from headway.workspace.database import Reader
from headway.workspace.services.workspace_conf.model import SETTINGS
from headway.workspace.services.workspace_conf.tables import settings


class ConfStore:
    """Settings by name; those that nobody has set have their first value."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._reader = engine, Reader(engine)

    def get(self, name: str) -> str:
        """The value of a setting that there is."""
        rows = self._reader.rows("select value from workspace_conf where name = ?", name)
        return str(rows[0]["value"]) if rows else SETTINGS[name].value

    def put(self, values: Mapping[str, str]) -> None:
        """Keep them, all at once."""
        with self._engine.begin() as connection:
            connection.execute(delete(settings).where(settings.c.name.in_(list(values))))
            connection.execute(insert(settings), [{"name": name, "value": value} for name, value in values.items()])

    def token_days(self) -> int:
        """How many days a token may live at most; 0: as long as it likes."""
        return int(self.get("maxTokenLifetimeDays") or 0)

    def notebooks_leave(self) -> bool:
        """Whether notebooks may be exported."""
        return self.get("enableExportNotebook") == "true"
