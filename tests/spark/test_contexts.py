"""Contexts and SQL statements on a warm driver."""

import threading
from collections.abc import Iterator

import pytest

from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.tasks import CommandOutcome, SqlParameter, SqlTask, TaskOutcome
from spark.conftest import Runner

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def context(driver: Driver) -> Iterator[str]:
    """One context for every test here."""
    made = driver.create_context()
    yield made
    driver.destroy_context(made)


def test_python_sql_and_scala_share_a_session(driver: Driver, context: str) -> None:
    first = driver.execute(
        context, "PYTHON", "n = 41\nspark.range(3).createOrReplaceTempView('few')\nprint('hello')\nn + 1"
    )
    assert (first.state, first.kind, first.text) == ("FINISHED", "text", "hello\n42\n")
    table = driver.execute(context, "SQL", "select id, 'a;b' as word from few where id > 0 order by id")
    assert [column.name for column in table.columns] == ["id", "word"]
    assert (table.rows, table.columns[0].type_json) == (((1, "a;b"), (2, "a;b")), '"long"')
    counted = driver.execute(context, "PYTHON", "print(_sqldf.count(), n)")
    assert counted.text == "2 41\n"
    scala = (
        "case class Pair(a: Long)\n"
        'val most = spark.table("few").as[Long].map(n => Pair(n * 10)).collect().map(_.a).max\nprintln(most)'
    )
    answered = driver.execute(context, "SCALA", scala)
    assert answered.state == "FINISHED", answered
    assert "\n20\n" in answered.text.replace("most: Long = 20", "")
    again = driver.execute(context, "SCALA", 'display(spark.range(most).where("id < 2"))')
    assert (again.kind, again.rows) == ("table", ((0,), (1,)))


@pytest.mark.parametrize(
    ("language", "code", "summary"),
    [
        ("PYTHON", "def f():\n    return 1 / 0\nf()", "ZeroDivisionError: division by zero"),
        ("PYTHON", "x = (", "SyntaxError"),
        ("PYTHON", "import sys; sys.exit(3)", "SystemExit: 3"),
        ("SQL", "select * from nowhere", "TABLE_OR_VIEW_NOT_FOUND"),
        ("SCALA", 'val x: Int = "a"', "type mismatch"),
        ("SCALA", 'throw new IllegalStateException("no good")', "IllegalStateException: no good"),
        ("SCALA", "System.exit(3)", "ThreadDeath"),
    ],
)
def test_a_command_that_fails_says_why_and_the_context_goes_on(
    driver: Driver, context: str, language: str, code: str, summary: str
) -> None:
    failed = driver.execute(context, language, code)  # type: ignore[arg-type]
    assert failed.state == "ERROR"
    assert summary in failed.summary + failed.cause
    assert driver.execute(context, "PYTHON", "1 + 1").text == "2\n"


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("PYTHON", "while True:\n    pass"),
        ("PYTHON", "import time\nspark.range(2).foreach(lambda row: time.sleep(60))"),
        ("SCALA", "spark.range(2).foreach((_: java.lang.Long) => Thread.sleep(60000))"),
        ("SCALA", "Thread.sleep(60000)"),
    ],
)
def test_a_command_is_canceled_and_the_context_stays(driver: Driver, context: str, language: str, code: str) -> None:
    driver.execute(context, "PYTHON", "kept = 7")
    ended: list[CommandOutcome] = []
    thread = threading.Thread(
        target=lambda: ended.append(driver.execute(context, language, code))  # type: ignore[arg-type]
    )
    thread.start()
    while thread.is_alive():  # it may not have begun yet
        driver.cancel_command(context)
        thread.join(0.3)
    assert [outcome.state for outcome in ended] == ["CANCELED"]
    assert driver.execute(context, "PYTHON", "kept").text == "7\n"


def test_a_context_that_is_gone_says_so(driver: Driver) -> None:
    own = driver.create_context()
    lost = driver.execute(own, "PYTHON", "import os; os._exit(9)")
    assert (lost.state, lost.lost) == ("ERROR", True)
    assert "status 9" in lost.cause
    assert driver.execute(own, "PYTHON", "1").lost
    driver.destroy_context(own)


def statement(run: Runner, text: str, *parameters: SqlParameter, **named: object) -> TaskOutcome:
    return run(SqlTask(text, parameters, **named))  # type: ignore[arg-type]


def test_a_statement_gives_typed_columns_and_text(run: Runner) -> None:
    outcome = statement(
        run,
        "select cast(1 as bigint) as n, cast('1.50' as decimal(10,2)) as d, timestamp'2024-01-02 03:04:05Z' as t, "
        "array(1, 2) as a, named_struct('x', date'2024-01-02') as s, null as nothing, cast('ab' as binary) as b, "
        ":who as who, :day + 1 as day",
        SqlParameter("who", "it's"),
        SqlParameter("day", "5", "INT"),
    )
    assert outcome.state == "SUCCESS", outcome
    assert outcome.sql is not None, outcome
    assert outcome.sql.rows == (
        ("1", "1.50", "2024-01-02T03:04:05.000Z", "[1,2]", '{"x":"2024-01-02"}', None, "YWI=", "it's", "6"),
    )
    assert [column.type_name for column in outcome.sql.columns[:5]] == [
        "LONG",
        "DECIMAL",
        "TIMESTAMP",
        "ARRAY",
        "STRUCT",
    ]
    assert (outcome.sql.columns[1].type_text, outcome.sql.columns[1].scale) == ("DECIMAL(10,2)", 2)


def test_statements_are_cut_at_the_limit_run_commands_and_fail_with_sparks_class(run: Runner) -> None:
    cut = statement(run, "select id from range(10)", row_limit=3).sql
    assert cut is not None
    assert (len(cut.rows), cut.truncated) == (3, True)
    done = statement(run, "create database if not exists of_statements").sql
    assert done is not None
    assert (done.columns, done.rows) == ((), ())
    inside = statement(run, "select current_database()", schema="of_statements").sql
    assert inside is not None
    assert inside.rows == (("of_statements",),)
    failed = statement(run, "select nowhere")
    assert failed.state == "FAILED"
    assert failed.sql is not None
    assert (failed.sql.error_class, failed.sql.sql_state) == ("UNRESOLVED_COLUMN.WITHOUT_SUGGESTION", "42703")
