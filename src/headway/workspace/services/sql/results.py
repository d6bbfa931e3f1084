"""What a statement gave, cut into chunks as the API hands them out. Pure.

Source: Databricks REST API, "Statement Execution API 2.0": dispositions, formats, limits.
"""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headway.workspace.runtime.tasks import SqlOutcome

INLINE_BYTES = 25 * 1024 * 1024
CHUNK_ROWS, CHUNK_BYTES = 20_000, 4 * 1024 * 1024
Rows = Sequence[Sequence[str | None]]


class TooLarge(Exception):
    """A result that cannot be handed out as it was asked for."""


@dataclass(frozen=True)
class Chunk:
    """A part of a result. `data` is its text in the result's format, UTF-8."""

    index: int
    row_offset: int
    row_count: int
    data: bytes


@dataclass(frozen=True)
class Result:
    """A whole result. `truncated`: it was cut at the rows or bytes that the client asked for. `external`: it is handed
    out by links."""

    found: SqlOutcome
    chunks: tuple[Chunk, ...]
    truncated: bool
    format: str
    external: bool

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(len(chunk.data) for chunk in self.chunks)

    def manifest(self) -> dict[str, Any]:
        """The `manifest` block."""
        columns = []
        for position, column in enumerate(self.found.columns):
            told: dict[str, Any] = {
                "name": column.name,
                "type_text": column.type_text,
                "type_name": column.type_name,
                "position": position,
            }
            if column.precision is not None:
                told |= {"type_precision": column.precision, "type_scale": column.scale or 0}
            columns.append(told)
        return {
            "format": self.format,
            "schema": {"column_count": len(columns), "columns": columns},
            "total_chunk_count": len(self.chunks),
            "chunks": [_about(chunk) for chunk in self.chunks],
            "total_row_count": sum(chunk.row_count for chunk in self.chunks),
            "total_byte_count": self.size,
            "truncated": self.truncated,
        }

    def chunk(self, index: int, statement_id: str) -> dict[str, Any]:
        """A chunk with its rows, and the way to the next one. Raise IndexError."""
        found = self._at(index)
        told = {**_about(found), "data_array": json.loads(found.data)}
        if index + 1 < len(self.chunks):
            told |= _next(index + 1, statement_id)
        return told

    def links(self, index: int, statement_id: str, url: str, expiration: str) -> dict[str, Any]:
        """The same for a result that is handed out by links: `url` leads to the chunk. Raise IndexError."""
        found = self._at(index)
        link = {**_about(found), "external_link": url, "expiration": expiration}
        if index + 1 < len(self.chunks):
            link |= _next(index + 1, statement_id)
        return {"external_links": [link]}

    def _at(self, index: int) -> Chunk:
        if not 0 <= index < len(self.chunks):
            raise IndexError(index)
        return self.chunks[index]


def result(found: SqlOutcome, byte_limit: int | None, form: str, external: bool) -> Result:
    """A result from what the driver gave; `byte_limit` cuts it. Raise TooLarge where it does not fit inline."""
    most = None if external else INLINE_BYTES
    chunks: list[Chunk] = []
    rows: list[Sequence[str | None]] = []
    total = size = 0
    cut = False
    for row in found.rows:
        length = len(json.dumps(row, ensure_ascii=False).encode()) + 1
        if byte_limit is not None and total + length > byte_limit:
            cut = True
            break
        if most is not None and total + length > most:
            raise TooLarge(
                f"Inline byte limit exceeded. Statements executed with disposition=INLINE can have a result size of at "
                f"most {most} bytes. Please execute the statement with disposition=EXTERNAL_LINKS if you want to "
                "download the full result."
            )
        if rows and (len(rows) >= CHUNK_ROWS or size + length > CHUNK_BYTES):
            chunks.append(_chunk(chunks, rows, found, form))
            rows, size = [], 0
        rows.append(row)
        total, size = total + length, size + length
    if rows or not chunks:
        chunks.append(_chunk(chunks, rows, found, form))
    return Result(found=_without_rows(found), chunks=tuple(chunks), truncated=cut or found.truncated, format=form,
                  external=external)  # fmt: skip


def _chunk(before: Sequence[Chunk], rows: Rows, found: SqlOutcome, form: str) -> Chunk:
    offset = before[-1].row_offset + before[-1].row_count if before else 0
    if form == "CSV":
        heads = [[column.name for column in found.columns]] if not before else []
        data = _csv([*heads, *rows])
    else:
        data = json.dumps(rows, ensure_ascii=False, separators=(",", ":"))
    return Chunk(len(before), offset, len(rows), data.encode())


def _csv(rows: Rows) -> str:
    """RFC 4180; the first chunk has a header, NULL is written as null."""
    target = io.StringIO()
    csv.writer(target).writerows([["null" if cell is None else cell for cell in row] for row in rows])
    return target.getvalue()


def _without_rows(found: SqlOutcome) -> SqlOutcome:
    return SqlOutcome(found.columns, (), found.truncated, found.error_class, found.sql_state)


def _about(chunk: Chunk) -> dict[str, Any]:
    return {
        "chunk_index": chunk.index,
        "row_offset": chunk.row_offset,
        "row_count": chunk.row_count,
        "byte_count": len(chunk.data),
    }


def _next(index: int, statement_id: str) -> dict[str, Any]:
    link = f"/api/2.0/sql/statements/{statement_id}/result/chunks/{index}"
    return {"next_chunk_index": index, "next_chunk_internal_link": link}
