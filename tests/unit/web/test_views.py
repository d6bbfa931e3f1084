"""What pages are made of: sessions, plans, graphs, plots, templates."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from importlib import resources
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.steps import Change, CreateJob, Plan, ResetJob
from headway.web.door import local_path
from headway.web.graph import WIDTH, graph_of
from headway.web.live import message
from headway.web.planview import HIDDEN, view_of
from headway.web.plots import nice_step, plot, time_step
from headway.web.rendering import Rendering, duration, page_at, size
from headway.web.sessions import Sessions

DAY = 86_400_000


# --- links


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("http://w:8470", "/here/7"),
        ("http://w:8470/", "/here/7"),
        ("https://other.example.org", "https://other.example.org/jobs/7"),
        ("http://w:84700", "http://w:84700/jobs/7"),
        ("javascript:alert(1)", "/here/7"),
        (None, "/here/7"),
    ],
)
def test_a_job_is_shown_where_it_is(host: str | None, found: str) -> None:
    assert page_at("http://w:8470", host, "/here/7", "/jobs/7") == found
    assert page_at("", "https://x", "/here/7", "/jobs/7") == "https://x/jobs/7"


# --- sessions


def test_a_session_is_opened_by_its_cookie_until_it_is_ended_everywhere() -> None:
    sessions = Sessions(b"key")
    cookie = sessions.begin("a-token")
    session = sessions.open(cookie)
    assert session is not None
    assert session.token == "a-token"
    assert "a-token" not in cookie
    assert Sessions(b"key").open(cookie) == session  # a server that was started again
    sessions.end(session)
    assert sessions.open(cookie) is None


@pytest.mark.parametrize("cookie", [None, "", "x", "gAAAAA==", "\udc80", "é"])
def test_a_cookie_that_is_not_ours_is_nobody(cookie: str | None) -> None:
    assert Sessions(b"key").open(cookie) is None


def test_another_servers_cookie_and_another_sessions_form_do_not_fit() -> None:
    ours = Sessions(b"key")
    assert ours.open(Sessions(b"another").begin("a-token")) is None
    assert ours.open(ours.seal({"done": "a message"})) is None
    assert ours.fits("one", ours.form_token("one"))
    assert not ours.fits("one", ours.form_token("two"))
    assert not ours.fits("one", "")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/runs/3?x=1", "/runs/3?x=1"),
        (None, "/"),
        ("https://evil.example", "/"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/a\\b", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_after_the_login_one_stays_on_this_server(text: str | None, path: str) -> None:
    assert local_path(text) == path


@given(st.text())
def test_a_message_of_any_text_is_one_event(text: str) -> None:
    lines = message("update", text).decode("utf-8", "surrogatepass").split("\n") if text.isascii() else []
    assert all(line == "" or line.startswith(("event: ", "data: ")) for line in lines)


# --- plans


def plan(*steps: Any) -> Plan:
    return Plan("scoring", "production", "1.0.2", "1.0.1", 4, steps, ("other",))


def test_a_plan_is_shown_without_its_secrets() -> None:
    changes = (
        Change("tasks[a].spark_env_vars.API_TOKEN", "old-secret", "new-secret"),
        Change("tasks[a].timeout_seconds", 10, None, "hand"),
    )
    made = plan(
        ResetJob("a", 7, {"name": "a"}, {"name": "a"}, changes, "this release changes it"),
        CreateJob("b", {"name": "b", "password": "hush"}, "this release defines it"),
    )
    found = view_of(made.to_json())
    assert found is not None
    assert 'secret"' not in str(found)
    assert all(word not in str(found) for word in ("old-secret", "new-secret", "hush"))
    first, second = found.changes[0].jobs[0].fields
    assert (first.before, first.after) == (HIDDEN, HIDDEN)
    assert (second.before, second.after, second.hand) == ("10", None, True)
    assert (found.digest, found.changes[1].word, found.unchanged) == (made.digest, "Create", ("other",))


def test_jobs_that_change_alike_are_shown_together() -> None:
    steps = [ResetJob(k, n, {"name": k}, {"name": k}, (Change("x", 1, 2),), "why") for n, k in enumerate("abc")]
    found = view_of(plan(*steps).to_json())
    assert found is not None
    assert [[job.key for job in change.jobs] for change in found.changes] == [["a", "b", "c"]]


def test_a_plan_of_another_headway_has_no_view() -> None:
    assert view_of({"schema": "headway.plan/99"}) is None
    assert view_of(None) is None


# --- drawings


def task(key: str, *before: str) -> dict[str, Any]:
    return {"task_key": key, "depends_on": [{"task_key": entry} for entry in before]}


def test_arrows_go_from_left_to_right() -> None:
    found = graph_of(
        [task("train", "features", "history"), task("features", "ingest"), task("history"), task("ingest")]
    )
    places = {node.key: node for node in found.nodes}
    assert places["ingest"].x == places["history"].x < places["features"].x < places["train"].x
    assert len({(node.x, node.y) for node in found.nodes}) == 4
    assert len(found.edges) == 3
    for edge in found.edges:
        numbers = [int(text) for text in re.findall(r"-?\d+", edge)]
        assert numbers[0] < numbers[-2]
    assert max(node.x for node in found.nodes) + WIDTH <= found.width
    assert "train after features, history" in found.description


@given(st.dictionaries(st.sampled_from("abcdef"), st.lists(st.sampled_from("abcdefg"), max_size=4)))
def test_any_tasks_can_be_drawn(given_: dict[str, list[str]]) -> None:
    found = graph_of([task(key, *before) for key, before in given_.items()])
    assert len(found.nodes) == len(given_)


@given(st.floats(min_value=1e-6, max_value=1e9))
def test_an_axis_has_three_to_six_lines(highest: float) -> None:
    assert 2 <= highest / nice_step(highest) <= 5.000001


@given(st.floats(min_value=1, max_value=1e8))
def test_an_axis_of_times_has_few_lines_at_round_times(highest: float) -> None:
    step = time_step(highest)
    assert highest / step <= 5.000001
    assert step >= 86_400 or step in (
        1,
        2,
        5,
        10,
        15,
        30,
        60,
        120,
        300,
        600,
        900,
        1800,
        3600,
        7200,
        10800,
        21600,
        43200,
    )


def test_bars_are_as_high_as_their_values() -> None:
    found = plot("p", "Hours", [(0, [2.0, 1.0]), (DAY, [None, None])], lambda v: f"{v:g} h", kinds=("own", "runs"))
    (first, second), bottom = found.bars, found.bottom
    (y1, high1, _), (y2, high2, _) = first.parts
    assert high1 == pytest.approx(2 * high2, abs=0.2)
    assert (round(y1 + high1), round(y2 + high2)) == (bottom, round(y1))
    assert (second.parts, found.rows[1]) == ((), ("1970-01-02", "nothing"))
    assert found.rows[0] == ("1970-01-01", "own 2 h, runs 1 h")
    assert found.ticks[-1][1] == "3 h"
    assert "the most is 3 h" in found.description


def test_an_empty_plot_says_so() -> None:
    nothing, zero = (plot("p", "Rate", [(0, [value])], lambda v: f"{v:.0%}") for value in (None, 0.0))
    assert (nothing.empty, nothing.instead) == (True, "Nothing in this time.")
    assert (zero.empty, zero.instead) == (True, "0%, all the time.")
    assert plot("p", "Hours", [], str).description == "Hours, no time: there is nothing yet."


# --- words and templates


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, ""),
        (0.04, "0.0 s"),
        (42, "42 s"),
        (60, "1 min"),
        (150, "2 min 30 s"),
        (7260, "2 h 1 min"),
        (2e5, "2.3 days"),
    ],
)
def test_a_length_of_time_in_words(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_sizes_in_words() -> None:
    assert [size(value) for value in (12, 2048, 5 * 2**30)] == ["12 bytes", "2.0 KiB", "5.0 GiB"]


def test_how_long_ago() -> None:
    rendering = Rendering(lambda: 10 * DAY)
    said = [rendering.ago(10 * DAY - ago * 1000) for ago in (1, 59, 600, 7200, 200_000)]
    assert said == ["just now", "59 s ago", "10 min ago", "2 h ago", "2 days ago"]
    assert rendering.ago(None) == "never"


def templates() -> list[str]:
    return sorted(entry.name for entry in (resources.files("headway.web") / "templates").iterdir())


@pytest.mark.parametrize("name", templates())
def test_a_template_compiles_and_has_nothing_inline(name: str) -> None:
    rendering = Rendering(lambda: 0)
    rendering._jinja.get_template(name)
    text = (resources.files("headway.web") / "templates" / name).read_text()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|\|\s*safe|<script(?! src)|javascript:|autoescape", text)
    for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
        assert "form_token" in form, form


def test_the_vendored_files_come_with_their_licences() -> None:
    folder = resources.files("headway.web") / "static"
    for file in ("htmx-2.0.11", "htmx-ext-sse-2.2.4"):
        assert "Permission to use, copy, modify" in (folder / f"{file}.LICENSE.txt").read_text()
    ET.fromstring((folder / "icon.svg").read_text())  # noqa: S314  (our own file)
    assert Rendering(lambda: 0).asset("style.css").startswith("/static/")


def test_colours_are_readable_in_light_and_dark() -> None:
    """WCAG 2.2, 1.4.3: text has a contrast of 4.5 to 1 to what is behind it."""
    text = (resources.files("headway.web") / "static" / "style.css").read_text()
    light, dark = (dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{6})", part)) for part in text.split("@media", 1))
    pairs = [
        ("ink", "ground"),
        ("ink", "card"),
        ("soft", "ground"),
        ("soft", "card"),
        ("ink", "well"),
        ("accent", "card"),
    ]
    pairs += [("accent", "ground"), ("on-accent", "accent")]
    pairs += [(tone, f"{tone}-ground") for tone in ("good", "bad", "busy", "wait", "off")]
    for colours in (light, {**light, **dark}):
        for front, back in pairs:
            assert contrast(colours[front], colours[back]) >= 4.5, (front, back, colours[front], colours[back])


def contrast(first: str, second: str) -> float:
    lighter, darker = sorted((luminance(first), luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_a_plan_keeps_its_digest_when_it_is_shown() -> None:
    made = plan(CreateJob("b", {"name": "b"}, "why"))
    assert view_of(made.to_json()) == view_of(replace(made).to_json())
