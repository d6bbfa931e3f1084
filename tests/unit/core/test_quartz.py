"""Cron expressions, against what the real Quartz says of them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.quartz import parse
from support.quartz.triples import answer

GOLDEN = Path(__file__).parents[2] / "support" / "quartz" / "golden.tsv"
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def test_every_answer_is_that_of_the_real_library() -> None:
    rows = [line.split("\t") for line in GOLDEN.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2500
    different = [
        (row, answer(row[0], row[1], int(row[2]))) for row in rows if answer(row[0], row[1], int(row[2])) != row[3]
    ]
    assert different == []


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("0 0 * * *", "six or seven fields"),
        ("0 30 2,7,11,15 * * *", "day-of-week AND a day-of-month"),
        ("0 0 0 ? * ?", "Day-of-Month -OR- Day-of-Week"),
        ("0 0 24 * * ?", "hour values must be between 0 and 23"),
        ("0 0/61 * * * ?", "Increment of minute"),
        ("0 0 0 ? * MON#6", "between 1 and 5"),
        ("0 5x 0 * * ?", "5X is not a value of minute"),
        ("0 0 0 L * FOO", "FOO"),
        ("0 0 0 * * ? 2030-2028", "Start year"),
    ],
)
def test_what_is_wrong_with_an_expression_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse(text)


def test_a_time_that_a_clock_change_skips_does_not_happen_and_one_that_it_repeats_happens_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    skipped = parse("0 30 2 * * ?").next_after(datetime(2027, 3, 27, 12, tzinfo=berlin), berlin)
    assert skipped == datetime(2027, 3, 29, 2, 30, tzinfo=berlin)
    first = parse("0 30 2 * * ?").next_after(datetime(2026, 10, 24, 12, tzinfo=berlin), berlin)
    assert first == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert parse("0 30 2 * * ?").next_after(first, berlin) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


@given(
    st.integers(0, 59), st.integers(0, 59), st.integers(0, 23), st.integers(1, 28), st.integers(1, 12),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]), st.integers(0, 10**9),
)  # fmt: skip
def test_what_is_found_lies_after_and_fits_every_field(
    second: int, minute: int, hour: int, day: int, month: int, zone: str, shift: int
) -> None:
    where, after = ZoneInfo(zone), NOON + timedelta(seconds=shift)
    found = parse(f"{second} {minute} {hour} {day} {month} ?").next_after(after, where)
    assert found is not None
    assert found > after
    local = found.astimezone(where)
    assert (local.second, local.minute, local.hour, local.day, local.month) == (second, minute, hour, day, month)
    assert parse(f"{second} {minute} {hour} {day} {month} ?").next_after(found - timedelta(seconds=1), where) == found
