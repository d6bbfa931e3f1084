"""Tables outlive the driver that made them, under the names that Databricks has for them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from headway.workspace.errors import ApiError
from headway.workspace.runtime.driver import Driver
from headway.workspace.runtime.tasks import DriverSpec
from headway.workspace.services.unity.model import Securable, table_json
from headway.workspace.services.unity.store import Metastore
from spark.conftest import Runner


@pytest.fixture
def metastore(spec: DriverSpec) -> Metastore:
    """The API's side of the warm driver's metastore."""
    return Metastore(
        spec.roots.metastore, spec.roots.volumes, lambda path: spec.roots.dbfs / path.removeprefix("dbfs:/")
    )


@pytest.fixture
def another(spec: DriverSpec, cache: Path, tmp_path: Path) -> Iterator[Runner]:
    """A second driver on the same workspace."""
    driver = Driver.start(replace(spec, cluster_id="other", folder=tmp_path / "other"), cache)
    yield Runner(driver, tmp_path)
    driver.stop()


def test_tables_outlive_their_driver_and_have_three_part_names(
    run: Runner, another: Runner, metastore: Metastore
) -> None:
    metastore.create_catalog(Securable("dev", "me", 1, 1))
    metastore.create_schema("dev", Securable("lab", "me", 1, 1))
    made = run.notebook(
        "spark.sql('CREATE SCHEMA IF NOT EXISTS main.sales')\n"
        "spark.range(5).selectExpr('id', 'cast(id as double) * 2 as price', 'id % 2 as day')"
        ".write.partitionBy('day').saveAsTable('main.sales.orders')\n"
        "spark.sql('CREATE VIEW sales.big AS SELECT * FROM main.sales.orders WHERE price > 3')\n"
        "spark.sql(\"CREATE TABLE dev.lab.notes (text string COMMENT 'what') USING json\")\n"
        "spark.sql(\"INSERT INTO dev.lab.notes VALUES ('hello')\")\n"
        "spark.sql('USE CATALOG main')\n"
        "spark.sql('USE sales')\n"
        "dbutils.notebook.exit(str(spark.sql('select sum(main.sales.orders.price) from main.sales.orders').first()[0]))"
    )
    assert (made.state, made.notebook_result) == ("SUCCESS", "20.0"), made.error_trace

    read = another.notebook(
        "rows = spark.table('sales.orders').where('day = 1').count(), spark.table('main.sales.big').count()\n"
        "notes = [r.text for r in spark.sql('SELECT text FROM dev.lab.notes').collect()]\n"
        "spark.sql('INSERT INTO main.sales.orders SELECT 9, 100.0, 1')\n"
        "dbutils.notebook.exit(f'{rows} {notes} {spark.table(\"main.sales.orders\").count()}')"
    )
    assert (read.state, read.notebook_result) == ("SUCCESS", "(2, 3) ['hello'] 6"), read.error_trace

    told = table_json(metastore.table("main", "sales", "orders"), "main", "sales")
    assert (told["table_type"], told["data_source_format"]) == ("MANAGED", "PARQUET")
    assert [(c["name"], c["type_text"], c.get("partition_index")) for c in told["columns"]] == [
        ("id", "bigint", None),
        ("price", "double", None),
        ("day", "bigint", 0),
    ]
    assert [entry["name"] for entry in metastore.tables("main", "sales")] == ["big", "orders"]
    assert metastore.tables("dev", "lab")[0]["schema"]["fields"][0]["metadata"] == {"comment": "what"}

    # What one driver or the API drops, the others do not see any more.
    assert another.notebook("spark.sql('DROP TABLE main.sales.orders')").state == "SUCCESS"
    metastore.delete_table("dev", "lab", "notes")
    gone = run.notebook(
        "dbutils.notebook.exit(str([t.name for t in spark.catalog.listTables('sales')]"
        " + [t.name for t in spark.catalog.listTables('dev__lab')]))"
    )
    assert gone.notebook_result == "['big']", gone.error_trace
    with pytest.raises(ApiError, match=r"'main\.sales\.orders' does not exist"):
        metastore.table("main", "sales", "orders")
