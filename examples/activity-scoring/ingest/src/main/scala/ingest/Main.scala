package ingest

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.functions._
import org.apache.spark.sql.streaming.Trigger

/** `--root FOLDER [--gap-minutes 30]`: takes the statement files in `FOLDER/statements` that it has not seen, and ends.
  *
  * Under the root: `cleaned` (accepted statements), `quarantine` (refused lines, each with its reason), `counts` (what
  * became of the lines of each batch), `sessions` (all sessions, made anew from `cleaned`), `checkpoint`. Each batch has a
  * folder of its own in the first three, written over when the batch is repeated after a crash: nothing counts twice.
  */
object Main {
  def main(arguments: Array[String]): Unit = {
    val options = arguments.sliding(2, 2).collect { case Array(name, value) => name -> value }.toMap
    val root = options.getOrElse("--root", throw new IllegalArgumentException("--root FOLDER is needed"))
    val spark = SparkSession.builder().getOrCreate()
    run(spark, root, options.getOrElse("--gap-minutes", "30").toInt)
    println(totals(spark, root))
  }

  def run(spark: SparkSession, root: String, gapMinutes: Int): Unit = {
    val lines = spark.readStream.text(s"$root/statements")
    val query = lines.writeStream
      .trigger(Trigger.AvailableNow)
      .option("checkpointLocation", s"$root/checkpoint")
      .foreachBatch((batch: DataFrame, number: Long) => take(spark, root, batch, number))
      .start()
    query.awaitTermination()
    Sessions.of(spark.read.parquet(s"$root/cleaned"), gapMinutes).coalesce(1).write.mode("overwrite").parquet(s"$root/sessions")
  }

  private def take(spark: SparkSession, root: String, batch: DataFrame, number: Long): Unit = {
    val parsed = Statements.parse(batch.filter(trim(col("value")) =!= "")).persist()
    try {
      val refused = parsed.filter(col("reason").isNotNull).select("value", "reason")
      val good = parsed.filter(col("reason").isNull).drop("value", "reason")
      val once = good.dropDuplicates("id")
      val fresh = known(spark, root, number).fold(once)(ids => once.join(ids, Seq("id"), "left_anti"))
      fresh.coalesce(2).write.mode("overwrite").parquet(s"$root/cleaned/batch=$number")
      refused.coalesce(1).write.mode("overwrite").json(s"$root/quarantine/batch=$number")
      val read = parsed.count()
      val malformed = refused.count()
      val accepted = spark.read.parquet(s"$root/cleaned/batch=$number").count()
      import spark.implicits._
      Seq((read, accepted, malformed, read - malformed - accepted))
        .toDF("read", "accepted", "malformed", "duplicates")
        .coalesce(1)
        .write
        .mode("overwrite")
        .json(s"$root/counts/batch=$number")
    } finally parsed.unpersist()
  }

  /** The ids that earlier batches accepted. */
  private def known(spark: SparkSession, root: String, number: Long): Option[DataFrame] =
    if (number == 0) None
    else Some(spark.read.parquet(s"$root/cleaned").filter(col("batch") =!= number).select("id"))

  /** What became of every line so far, and how many sessions there are, as one line of JSON. */
  def totals(spark: SparkSession, root: String): String = {
    val names = Seq("read", "accepted", "malformed", "duplicates")
    val sums = spark.read.json(s"$root/counts").agg(sum(names.head).as(names.head), names.tail.map(name => sum(name).as(name)): _*)
    val sessions = spark.read.parquet(s"$root/sessions").count()
    sums.withColumn("sessions", lit(sessions)).toJSON.first()
  }
}
