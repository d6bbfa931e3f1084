package ingest

import org.apache.hadoop.fs.Path
import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.expressions.Window
import org.apache.spark.sql.functions._
import org.apache.spark.sql.streaming.Trigger

/** `--root FOLDER [--gap-minutes 30]`: takes the statement files in `FOLDER/statements` that it has not seen, and ends.
  *
  * Under the root: `cleaned` (accepted statements), `quarantine` (refused lines, each with its reason), `counts` (what
  * became of the lines of each batch), `sessions` (all sessions, made anew from `cleaned`), `checkpoint`. Each batch has
  * its own part of the first three, written over when the batch is repeated after a crash: nothing counts twice.
  */
object Main {
  private val Names = Seq("read", "accepted", "malformed", "duplicates")

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
    val cleaned = spark.read.parquet(s"$root/cleaned")
    Sessions.of(cleaned, gapMinutes).coalesce(1).write.mode("overwrite").parquet(s"$root/sessions")
  }

  private def take(spark: SparkSession, root: String, batch: DataFrame, number: Long): Unit = {
    val parsed = Statements.parse(batch.filter(trim(col("value")) =!= ""))
    val again = row_number().over(Window.partitionBy("id").orderBy("at")) > 1
    val fate = when(col("reason").isNotNull, "malformed").when(again || col("known"), "duplicates").otherwise("accepted")
    val judged = knownBefore(spark, root, number, parsed).withColumn("fate", fate).coalesce(2).persist()
    try {
      val counts = judged.groupBy("fate").count().collect().map(row => row.getString(0) -> row.getLong(1)).toMap
      val of = (fate: String) => judged.filter(col("fate") === fate)
      of("accepted").drop("value", "reason", "known", "fate").write.mode("overwrite").parquet(s"$root/cleaned/batch=$number")
      of("malformed").select("value", "reason").coalesce(1).write.mode("overwrite").json(s"$root/quarantine/batch=$number")
      keep(spark, s"$root/counts/batch-$number.json", counts + ("read" -> counts.values.sum))
    } finally judged.unpersist()
  }

  /** `parsed` with `known`: whether an earlier batch accepted a statement of that id. */
  private def knownBefore(spark: SparkSession, root: String, number: Long, parsed: DataFrame): DataFrame =
    if (number == 0) parsed.withColumn("known", lit(false))
    else {
      val ids = spark.read.parquet(s"$root/cleaned").filter(col("batch") =!= number).select(col("id"), lit(true).as("seen"))
      parsed.join(ids, Seq("id"), "left").withColumn("known", coalesce(col("seen"), lit(false))).drop("seen")
    }

  private def keep(spark: SparkSession, path: String, counts: Map[String, Long]): Unit = {
    val target = new Path(path)
    val stream = target.getFileSystem(spark.sparkContext.hadoopConfiguration).create(target, true)
    try stream.write(Names.map(name => s""""$name":${counts.getOrElse(name, 0L)}""").mkString("{", ",", "}\n").getBytes("UTF-8"))
    finally stream.close()
  }

  /** What became of every line so far, and how many sessions there are, as one line of JSON. */
  def totals(spark: SparkSession, root: String): String = {
    val sums = spark.read.schema(Names.map(name => s"$name LONG").mkString(", ")).json(s"$root/counts")
    val sessions = spark.read.parquet(s"$root/sessions").count()
    sums.select(Names.map(name => sum(name).as(name)): _*).withColumn("sessions", lit(sessions)).toJSON.first()
  }
}
