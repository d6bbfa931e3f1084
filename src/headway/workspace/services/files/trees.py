"""Folders of the workspace tree that are put there as a whole: checkouts of git remotes."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import delete, insert, select, update

from headway.workspace.clock import now_ms
from headway.workspace.database import objects
from headway.workspace.errors import ApiError
from headway.workspace.paths import confined
from headway.workspace.services.files import notebooks
from headway.workspace.services.files.model import ENDINGS, LANGUAGES, WorkspaceObject, ending_of, is_notebook_source
from headway.workspace.services.files.store import FilesStore, escaped

# What running a program leaves beside it: no change of the folder.
_LEFT_BY_RUNS = ("__pycache__", ".ipynb_checkpoints")


class Trees(FilesStore):
    """The tree, with folders that are put as a whole."""

    def put_tree(self, path: str, staged: Path, creator: str, object_type: str = "REPO") -> WorkspaceObject:
        """Put the folder `staged`, which is used up, in the place of a folder of that type, or where nothing is. Files
        become notebooks where ending and content say so. Raise ApiError where its parent is missing."""
        name = self.name(path)
        target, aside = confined(self._root, name), self._drafts / uuid.uuid4().hex
        wanted = {f"{name}/{below}": facts for below, facts in _contents(staged).items()}
        now = now_ms()
        swapped = False
        try:
            with self._writer.alone() as connection:
                self._there(connection, name)
                within = (objects.c.path == name) | objects.c.path.like(escaped(name) + "/%", escape="\\")
                before = {row.path: row.object_type for row in connection.execute(select(objects).where(within))}
                if before.get(name, object_type) != object_type or (name not in before and os.path.lexists(target)):
                    raise ApiError("RESOURCE_ALREADY_EXISTS", f"{name} already exists.")
                wanted[name] = (object_type, None)
                for gone in [one for one, kind in before.items() if one not in wanted or wanted[one][0] != kind]:
                    connection.execute(delete(objects).where(objects.c.path == gone))
                    before.pop(gone)
                rows = [
                    {
                        "path": one,
                        "object_type": kind,
                        "language": language,
                        "created_ms": now,
                        "modified_ms": now,
                        "creator": creator,
                    }
                    for one, (kind, language) in wanted.items()
                    if one not in before
                ]
                if rows:
                    connection.execute(insert(objects), rows)
                connection.execute(update(objects).where(within).values(modified_ms=now))
                target.parent.mkdir(parents=True, exist_ok=True)
                if target.exists():
                    os.replace(target, aside)
                    swapped = True
                os.replace(staged, target)
        except BaseException:
            if swapped and not target.exists():
                os.replace(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)
        return self.get(name)

    def manifest(self, path: str) -> str:
        """What stands for all files below a path: another one after a change."""
        root = confined(self._root, self.name(path))
        digest = hashlib.sha256()
        for found in _files(root):
            facts = found.lstat()
            digest.update(f"{found.relative_to(root)}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(one for one in folders if one not in _LEFT_BY_RUNS)
        yield from (Path(folder, one) for one in sorted(names))


def _contents(root: Path) -> dict[str, tuple[str, str | None]]:
    """Type and language of all that is in a folder, by its name in the tree. Jupyter notebooks are turned into
    source."""
    found: dict[str, tuple[str, str | None]] = {}
    for folder, folders, _ in os.walk(root):
        for one in folders:
            found[str(Path(folder, one).relative_to(root))] = ("DIRECTORY", None)
    plain = [str(one.relative_to(root)) for one in _files(root)]
    taken = {*found, *plain}
    for below in plain:
        file, ending = root / below, ending_of(below)
        name, language = below, None
        if below.lower().endswith(".ipynb"):
            name, language = _converted(file, below, taken)
        elif ending:
            with file.open("rb") as source:
                is_notebook = is_notebook_source(source.read(100))
            stem = below[: -len(ending)]
            if is_notebook and ending == ENDINGS[LANGUAGES[ending.lower()]] and stem not in taken:
                name, language = stem, LANGUAGES[ending]
        taken.add(name)
        found[name] = ("NOTEBOOK" if language else "FILE", language)
    return found


def _converted(file: Path, below: str, taken: set[str]) -> tuple[str, str | None]:
    stem = below[: -len(".ipynb")]
    try:
        language, source = notebooks.from_jupyter(file.read_bytes())
    except ApiError:  # it is none, whatever its name says
        return below, None
    if stem in taken or stem + ENDINGS[language] in taken:
        return below, None
    file.with_name(file.name[: -len(".ipynb")] + ENDINGS[language]).write_bytes(source)
    file.unlink()
    return stem, language
