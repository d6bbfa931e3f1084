from activity_scoring.features import FEATURES
from activity_scoring.train import accuracy, fit


def test_a_model_learns_what_separates_the_levels(spark):
    names = ", ".join(f"cast(id % 4 + rand({number}) / 10 as double) as {name}" for number, name in enumerate(FEATURES))
    rows = spark.sql(f"select {names}, cast(id % 4 as double) as label from range(0, 80, 1, 1)")
    assert accuracy(fit(rows), rows) > 0.95
