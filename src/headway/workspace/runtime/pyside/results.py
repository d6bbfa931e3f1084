"""What a cell shows, as plain values: text, tables, HTML, images, errors."""

import base64
import datetime
import decimal
import io
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import Any

DISPLAY_ROWS = 1000
PRINTED_ROWS = 20
TEXT_LIMIT = 1 << 20

Output = dict[str, Any]


def plain(value: Any) -> Any:
    """A value of Spark's as JSON can tell it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode("ascii")
    if hasattr(value, "asDict"):
        return {key: plain(inner) for key, inner in value.asDict(recursive=False).items()}
    if isinstance(value, dict):
        return {str(plain(key)): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(inner) for inner in value]
    if hasattr(value, "item") and type(value).__module__ == "numpy":
        return plain(value.item())
    return str(value)


def column(name: str, data_type: Any) -> dict[str, Any]:
    """A column of Spark's: `type_text` as SQL writes it, `type_json` as Spark's schemas do."""
    return {
        "name": name,
        "type_text": data_type.simpleString().upper(),
        "type_name": _TYPE_NAMES.get(data_type.typeName(), data_type.typeName().upper()),
        "type_json": data_type.json(),
        "precision": getattr(data_type, "precision", None) if data_type.typeName() == "decimal" else None,
        "scale": getattr(data_type, "scale", None) if data_type.typeName() == "decimal" else None,
    }


_TYPE_NAMES = {"integer": "INT", "long": "LONG", "short": "SHORT", "byte": "BYTE", "void": "NULL"}


def table(frame: Any, limit: int = DISPLAY_ROWS) -> Output:
    """The first `limit` rows of a Spark DataFrame."""
    found = frame.limit(limit + 1).collect()
    columns = [column(field.name, field.dataType) for field in frame.schema.fields]
    rows = [[plain(value) for value in row] for row in found[:limit]]
    return {"kind": "table", "columns": columns, "rows": rows, "truncated": len(found) > limit}


def pandas_table(frame: Any, limit: int = DISPLAY_ROWS) -> Output:
    """The same of a pandas one."""
    head = frame.head(limit)
    columns = [
        {"name": str(name), "type_text": "STRING", "type_name": "STRING", "type_json": '"string"'}
        | ({"type_text": "BIGINT", "type_name": "LONG", "type_json": '"long"'} if kind.kind in "iu" else {})
        | ({"type_text": "DOUBLE", "type_name": "DOUBLE", "type_json": '"double"'} if kind.kind == "f" else {})
        | ({"type_text": "BOOLEAN", "type_name": "BOOLEAN", "type_json": '"boolean"'} if kind.kind == "b" else {})
        for name, kind in zip(frame.columns, frame.dtypes, strict=True)
    ]
    rows = [[plain(value) for value in row] for row in head.itertuples(index=False, name=None)]
    return {"kind": "table", "columns": columns, "rows": rows, "truncated": len(frame) > limit}


def text(written: str) -> Output:
    """What was printed."""
    return {"kind": "text", "text": written[:TEXT_LIMIT], "truncated": len(written) > TEXT_LIMIT}


def image(figure: Any) -> Output:
    """A matplotlib figure."""
    target = io.BytesIO()
    figure.savefig(target, format="png", bbox_inches="tight")
    return {"kind": "image", "png": base64.b64encode(target.getvalue()).decode("ascii")}


def shown(value: Any, limit: int = DISPLAY_ROWS) -> Output | None:
    """What `display` makes of a value, or a cell of its last one; None where it is only text."""
    kind = type(value)
    if hasattr(value, "limit") and hasattr(value, "schema") and kind.__module__.startswith("pyspark."):
        if getattr(value, "isStreaming", False):
            raise ValueError("display of a streaming DataFrame is not served by this workspace: write it to a table")
        return table(value, limit)
    if kind.__module__.startswith("pyspark.pandas") and hasattr(value, "to_spark"):
        return table(value.to_spark(), limit)
    if kind.__module__.startswith("pandas.") and hasattr(value, "itertuples"):
        return pandas_table(value, limit)
    if kind.__module__.startswith("pandas.") and hasattr(value, "to_frame"):
        return pandas_table(value.to_frame(), limit)
    if hasattr(value, "savefig"):
        return image(value)
    if isinstance(value, list | tuple) and value and hasattr(value[0], "_fields"):
        return records(value, limit)
    if hasattr(value, "_repr_html_"):
        made = value._repr_html_()
        if made:
            return {"kind": "html", "html": str(made)}
    return None


def records(values: Sequence[Any], limit: int = DISPLAY_ROWS) -> Output:
    """Named tuples, as `dbutils.fs.ls` gives them."""
    names = values[0]._fields
    return {
        "kind": "table",
        "columns": [
            {"name": name, "type_text": "STRING", "type_name": "STRING", "type_json": '"string"'} for name in names
        ],
        "rows": [[plain(value) for value in row] for row in values[:limit]],
        "truncated": len(values) > limit,
    }


def printed(found: Output) -> str:
    """An output as a log shows it."""
    match found["kind"]:
        case "table":
            return grid([entry["name"] for entry in found["columns"]], found["rows"])
        case "image":
            return "[an image]\n"
        case "html":
            return str(found["html"]).rstrip("\n") + "\n"
        case _:
            return str(found.get("text", ""))


def grid(names: Sequence[str], rows: Sequence[Sequence[Any]], limit: int = PRINTED_ROWS) -> str:
    """A table in text, as `DataFrame.show(truncate=False)` prints it."""
    cells = [[*names], *([_cell(value) for value in row] for row in rows[:limit])]
    widths = [max(3, *(len(line[at]) for line in cells)) for at in range(len(names))]
    rule = "+" + "+".join("-" * width for width in widths) + "+\n"
    lines = [
        "|" + "|".join(f"{value:<{width}}" for value, width in zip(line, widths, strict=True)) + "|\n" for line in cells
    ]
    more = f"only showing top {limit} rows\n" if len(rows) > limit else ""
    return rule + lines[0] + rule + "".join(lines[1:]) + rule + more


def _cell(value: Any) -> str:
    if value is None:
        return "NULL"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def figures() -> Iterable[Output]:
    """The matplotlib figures that a cell left open; they are closed. Nothing where matplotlib was not used."""
    plots = sys.modules.get("matplotlib.pyplot")
    if plots is None:
        return []
    found = [image(plots.figure(number)) for number in plots.get_fignums()]
    plots.close("all")
    return found
