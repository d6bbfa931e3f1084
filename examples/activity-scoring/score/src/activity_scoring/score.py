"""Score sessions with the model that `train` left."""

import json

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from activity_scoring import options
from activity_scoring.features import select_list


def scored(model: PipelineModel, sessions: DataFrame) -> DataFrame:
    """A row per session: who, what, and its rubric level from 1 to 4."""
    rows = sessions.selectExpr("session_id", "registration", "learner", "task", "started", *select_list())
    return model.transform(rows).selectExpr(
        "session_id", "registration", "learner", "task", "started", "cast(prediction + 1 as int) as rubric_level"
    )


def main() -> None:
    """Score every session, in the place of former scores."""
    given = options.read(["sessions", "model", "output"])
    spark = SparkSession.builder.getOrCreate()
    model = PipelineModel.load(f"{given.model}/pipeline")
    scored(model, spark.read.parquet(given.sessions)).coalesce(1).write.mode("overwrite").parquet(given.output)
    print(json.dumps({"scored": spark.read.parquet(given.output).count()}))
