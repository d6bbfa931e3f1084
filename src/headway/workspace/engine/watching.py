"""What lies in a folder, for file-arrival triggers."""

import os
from pathlib import Path

# As in Databricks, a place with more files than this is not watched as a whole (it watches at most 10,000 files).
MAX_FILES = 10_000


def files_at(folder: Path) -> dict[str, list[int]]:
    """The files below `folder`, the first 10,000 of them: path → size and time of change (nanoseconds). Empty where
    there is no such folder. Links are not followed."""
    found: dict[str, list[int]] = {}
    todo = [folder]
    while todo and len(found) < MAX_FILES:
        try:
            entries = sorted(os.scandir(todo.pop()), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                todo.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False) and len(found) < MAX_FILES:
                about = entry.stat(follow_symlinks=False)
                found[os.path.relpath(entry.path, folder)] = [about.st_size, about.st_mtime_ns]
    return found
