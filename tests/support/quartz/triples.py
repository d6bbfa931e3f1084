"""Expressions, zones and instants on which this project's Quartz is compared with the real one: always the same."""

import random
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from headway.core.quartz import LAST_YEAR, parse

ZONES = (
    "UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata",
    "Asia/Kathmandu", "Pacific/Auckland", "America/Havana", "Pacific/Apia", "Europe/London", "Asia/Tehran",
)  # fmt: skip
FIXED = tuple(
    """0 0 12 * * ?
0 15 10 ? * *
0 15 10 * * ? 2027
0 * 14 * * ?
0 0/5 14,18 * * ?
0 0-5 14 * * ?
0 10,44 14 ? 3 WED
0 15 10 ? * MON-FRI
0 15 10 15 * ?
0 15 10 L * ?
0 15 10 L-2 * ?
0 15 10 ? * 6L
0 15 10 ? * 6L 2026-2029
0 15 10 ? * 6#3
0 0 12 1/5 * ?
0 11 11 11 11 ?
0 0 0 LW * ?
0 0 0 L-3W * ?
0 0 0 15W * ?
0 0 0 1W * ?
0 0 0 31W * ?
0 0 0 ? * L
0 0 0 ? * FRI-MON
0 0 22-2 * * ?
59 59 23 31 12 ? 2030
0 30 2 * * ?
0 30 1 * * ?
0 0/15 * * * ?
0 0/15 0-3 * * ?
0 0 0 * * ?
0 0 0 29 2 ?
0 0 0 29 2 ? 2096/4
0 0 0 30 2 ?
*/7 */11 */5 */3 */2 ?
0 0 3 ? NOV-FEB SUN#1
0 0 0 ? * 2#5
0 0 0 ? * SUN#5
5/20 * * * * ?
0 0 0 ? * SATL
0 0 24 * * ?
60 0 0 * * ?
0 0 0 0 * ?
0 0 0 ? * 0
0 0 0 ? * 8
0 0 0 32 * ?
0 0 0 * 13 ?
0 0 0 * * *
0 0 0 ? * ?
0 0 * * *
0 0 0 1 1
0 0 0 L,15 * ?
0 0 0 ? * 2L,3
0 0 0 ? * 2#1,3#2
0 0 0 ? * MON#6
0 0 0 32W * ?
0 0 0 L-31 * ?
0 0 0/25 * * ?
0 0/61 * * * ?
0 0 0 * FOO ?
0 0 0 ? * XYZ
0 0 0 5L * ?
0 ? 0 * * ?
a b c d e f
0 0 0 ? JAN,MAR TUE,THU
0 0 0 31/3 * ?
0 0 4 ? * 1-5/2
0 0 0 10-5 * ?
0 0 0 * * ? 2030-2028""".splitlines()
)


def triples(count: int, seed: int = 20_261_125) -> list[tuple[str, str, int]]:
    """That many of (expression, zone, milliseconds), the fixed expressions first."""
    chance = random.Random(seed)
    found = [(text, zone, _instant(chance, zone)) for text in FIXED for zone in ZONES[:4]]
    while len(found) < count:
        zone = chance.choice(ZONES)
        found.append((_expression(chance), zone, _instant(chance, zone)))
    return found[:count]


def answer(text: str, zone: str, at_ms: int) -> str:
    """What this project says, in the words of QuartzSays.java."""
    try:
        cron = parse(text)
    except ValueError:
        return "invalid"
    found = cron.next_after(datetime.fromtimestamp(at_ms / 1000, UTC), ZoneInfo(zone))
    return "never" if found is None or found.year > LAST_YEAR else str(int(found.timestamp()) * 1000)


def _instant(chance: random.Random, zone: str) -> int:
    """Any second of 2020 to 2036, half of them within a few hours of a change of the zone's clocks."""
    at = chance.randrange(1_577_836_800, 2_082_758_400)
    changes = _changes(zone)
    if changes and chance.random() < 0.5:
        at = chance.choice(changes) + chance.randrange(-10_000, 10_000)
    return at * 1000


def _changes(zone: str) -> list[int]:
    if zone not in _CHANGES:
        hours = range(1_577_836_800, 1_893_456_000, 3600)
        offsets = [datetime.fromtimestamp(hour, ZoneInfo(zone)).utcoffset() for hour in hours]
        _CHANGES[zone] = [hour for hour, a, b in zip(hours[1:], offsets, offsets[1:], strict=False) if a != b]
    return _CHANGES[zone]


_CHANGES: dict[str, list[int]] = {}


def _expression(chance: random.Random) -> str:
    day, weekday = _day(chance), "?"
    if chance.random() < 0.45:
        day, weekday = "?", _weekday(chance)
    parts = [
        _numbers(chance, 0, 59, 0.6), _numbers(chance, 0, 59, 0.3), _numbers(chance, 0, 23, 0.2), day,
        chance.choice(("*", "*", _numbers(chance, 1, 12, 0.2), "FEB", "MAR-OCT", "NOV,APR", "OCT-MAR")), weekday,
    ]  # fmt: skip
    if chance.random() < 0.2:
        parts.append(chance.choice(("*", "2025-2031", "2028", "2024/3", "2027,2031", "2035")))
    return " ".join(parts)


def _numbers(chance: random.Random, least: int, most: int, zero: float) -> str:
    if chance.random() < zero:
        return str(least)
    one, other = chance.randint(least, most), chance.randint(least, most)
    step = chance.randint(1, max(2, most // 2))
    forms = ("*", str(one), f"{one},{other}", f"{one}-{other}", f"*/{step}", f"{one}/{step}", f"{one}-{other}/{step}")
    return chance.choice(forms)


def _day(chance: random.Random) -> str:
    special = (
        "L",
        "LW",
        "L-3",
        "L-5W",
        "15W",
        "1W",
        "31W",
        "30W",
        f"{chance.randint(1, 31)}W",
        f"L-{chance.randint(0, 30)}",
    )
    return chance.choice((_numbers(chance, 1, 31, 0.1), "*", chance.choice(special)))


def _days(chance: random.Random) -> tuple[str, str]:
    return f"{chance.randint(1, 31)}W", f"L-{chance.randint(0, 30)}"


def _weekday(chance: random.Random) -> str:
    one = chance.randint(1, 7)
    special = (
        "L", "SUNL", f"{one}L", f"{one}#{chance.randint(1, 5)}", "MON#2", "MON-FRI", "SAT,SUN", "FRI-TUE", "*",
        f"{one}#{chance.randint(1, 5)}",
    )  # fmt: skip
    return chance.choice((_numbers(chance, 1, 7, 0.1), chance.choice(special)))
