"""Condition tasks: comparing two operands. Pure.

Source: Databricks REST API, Jobs 2.2, `condition_task.op`: EQUAL_TO and NOT_EQUAL compare text ("12.0" is not "12"),
the others compare numbers ("12.0" >= "12" holds).
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation

_NUMERIC: Mapping[str, Callable[[Decimal, Decimal], bool]] = {
    "GREATER_THAN": operator.gt,
    "GREATER_THAN_OR_EQUAL": operator.ge,
    "LESS_THAN": operator.lt,
    "LESS_THAN_OR_EQUAL": operator.le,
}


def holds(op: str, left: str, right: str) -> bool:
    """Whether `left op right`. Raise ValueError where a numeric comparison meets what is not a number."""
    if op == "EQUAL_TO":
        return left == right
    if op == "NOT_EQUAL":
        return left != right
    return _NUMERIC[op](_number(left), _number(right))


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        value = Decimal("NaN")
    if value.is_nan():
        raise ValueError(f"condition_task compares numbers, and {text!r} is not one")
    return value
