package ingest

import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.expressions.Window
import org.apache.spark.sql.functions._

/** Sessions: what one learner did on one task without a pause longer than the gap. */
object Sessions {
  def of(statements: DataFrame, gapMinutes: Int): DataFrame = {
    val own = Window.partitionBy("learner", "task").orderBy("at", "id")
    val pause = col("at").cast("double") - lag(col("at").cast("double"), 1).over(own)
    val numbered = statements
      .withColumn("begins", when(pause.isNull || pause > gapMinutes * 60, 1).otherwise(0))
      .withColumn("number", sum("begins").over(own))
    def count(verb: String) = sum(when(col("verb") === verb, 1L).otherwise(0L))
    numbered
      .groupBy("learner", "task", "number")
      .agg(
        min("at").as("started"),
        max("at").as("ended"),
        min("registration").as("registration"),
        org.apache.spark.sql.functions.count(lit(1)).as("events"),
        count("interacted").as("interactions"),
        count("asked").as("hints"),
        count("answered").as("answers"),
        sum(when(col("verb") === "answered" && col("success"), 1L).otherwise(0L)).as("correct"),
        avg(when(col("verb") === "answered", col("seconds"))).as("answer_seconds"),
        max(when(col("verb") === "completed", 1).otherwise(0)).as("completed")
      )
      .withColumn("minutes", (col("ended").cast("double") - col("started").cast("double")) / 60)
      .withColumn("session_id", sha2(concat_ws("|", col("learner"), col("task"), col("started").cast("string")), 256))
      .drop("number")
  }
}
