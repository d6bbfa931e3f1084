from activity_scoring.features import EXPRESSIONS, FEATURES, select_list


def test_every_feature_has_an_expression():
    assert set(FEATURES) == set(EXPRESSIONS)


def test_no_feature_is_null_where_nothing_was_answered(spark):
    counts = "1 as events, 0 as answers, 0 as correct, 0 as hints, 0 as interactions, 0 as completed"
    found = spark.sql(f"select {counts}, null as minutes, null as answer_seconds").selectExpr(*select_list()).first()
    assert all(value is not None for value in found)
