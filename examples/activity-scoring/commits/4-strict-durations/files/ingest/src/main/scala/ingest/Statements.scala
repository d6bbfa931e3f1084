package ingest

import org.apache.spark.sql.{Column, DataFrame}
import org.apache.spark.sql.functions._

/** xAPI statements as lines of JSON (xAPI 1.0.3, part two, section 2): what is taken from them, and what is refused. */
object Statements {
  private val schema =
    """id STRING,
      actor STRUCT<account: STRUCT<homePage: STRING, name: STRING>>,
      verb STRUCT<id: STRING>,
      object STRUCT<id: STRING>,
      timestamp STRING,
      result STRUCT<success: BOOLEAN, score: STRUCT<scaled: DOUBLE>, duration: STRING>,
      context STRUCT<registration: STRING>"""

  private val Pattern = "PT([0-9.]+)S".r

  /** Seconds of a duration as our players send it (`PT12.5S`). */
  def seconds(duration: String): Option[Double] = duration match {
    case null                       => None
    case Pattern(number)            => Some(number.toDouble)
    case text if text.contains("T") => throw new IllegalArgumentException(s"not a duration of our players: $text")
    case _                          => None
  }

  private val toSeconds = udf((duration: String) => seconds(duration))

  /** `value` (a line) → the fields that count, with `reason` set where the line is refused. */
  def parse(lines: DataFrame): DataFrame = {
    val parsed = lines
      .select(col("value"), from_json(col("value"), lit(schema), java.util.Map.of[String, String]()).as("s"))
      .select(
        col("value"),
        col("s.id").as("id"),
        col("s.actor.account.name").as("learner"),
        regexp_extract(col("s.verb.id"), "([^/]+)$", 1).as("verb"),
        col("s.object.id").as("task"),
        try_to_timestamp(col("s.timestamp")).as("at"),
        col("s.context.registration").as("registration"),
        col("s.result.success").as("success"),
        col("s.result.score.scaled").as("scaled"),
        toSeconds(col("s.result.duration")).as("seconds")
      )
    parsed.withColumn("reason", reason)
  }

  private def reason: Column =
    when(col("id").isNull && col("learner").isNull && col("task").isNull, "not a JSON statement")
      .when(col("id").isNull, "no id")
      .when(col("learner").isNull, "no actor.account.name")
      .when(coalesce(col("verb"), lit("")) === "", "no verb.id")
      .when(col("task").isNull, "no object.id")
      .when(col("at").isNull, "no timestamp, or not one of ISO 8601")
}
