"""Learn rubric levels (1 to 4) from sessions that raters have labelled."""

import json

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression
from pyspark.ml.feature import VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from activity_scoring import options
from activity_scoring.features import FEATURES, select_list

SEED = 7


def labelled(sessions: DataFrame, labels: DataFrame) -> DataFrame:
    """Sessions that have a label, as features and `label` (the level less 1)."""
    joined = sessions.join(labels, "registration")
    return joined.selectExpr(*select_list(), "cast(level - 1 as double) as label")


def fit(rows: DataFrame) -> PipelineModel:
    """The model."""
    stages = [
        VectorAssembler(inputCols=list(FEATURES), outputCol="features"),
        LogisticRegression(maxIter=15, regParam=0.001),
    ]
    return Pipeline(stages=stages).fit(rows)


def accuracy(model: PipelineModel, rows: DataFrame) -> float:
    """The share of `rows` whose level the model says right."""
    right = model.transform(rows).selectExpr("avg(cast(prediction = label as double)) as right").first()
    return float(right["right"] or 0.0)


def main() -> None:
    """Train on four fifths, measure on the rest, keep the model and what was measured."""
    given = options.read(["sessions", "labels", "model"])
    spark = SparkSession.builder.getOrCreate()
    rows = labelled(spark.read.parquet(given.sessions), spark.read.json(given.labels)).coalesce(1).cache()
    training, held_out = rows.randomSplit([0.8, 0.2], seed=SEED)
    model = fit(training)
    metrics = {"rows": rows.count(), "held_out_accuracy": accuracy(model, held_out), "features": list(FEATURES)}
    model.write().overwrite().save(f"{given.model}/pipeline")
    spark.createDataFrame([(json.dumps(metrics),)], "value string").coalesce(1).write.mode("overwrite").text(
        f"{given.model}/metrics"
    )
    print(json.dumps(metrics))
