package headway.host

import java.io.File

import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions._
import org.apache.spark.sql.streaming.Trigger

/** What most applications make Spark load, done once so that the class-data archive holds it: files in and out, joins,
  * aggregates, windows, a stream.
  */
object Training {
  def run(spark: SparkSession, folder: File): Unit = {
    spark.conf.set("spark.sql.shuffle.partitions", "2")
    val base = new File(folder, "tmp/training").toURI.toString
    val rows = spark.range(1000).select(col("id"), (col("id") % 7).as("key"), current_timestamp().as("at"), rand(1).as("x"))
    rows.write.parquet(s"$base/rows")
    spark.read.parquet(s"$base/rows").groupBy("key").agg(count("*"), avg("x"), max("at")).collect()
    rows.select(to_json(struct(col("*"))).as("value")).write.text(s"$base/json")
    rows.as("a").join(rows.as("b"), col("a.id") === col("b.id")).selectExpr("a.id", "row_number() over (partition by a.key order by b.x)").collect()
    val stream = spark.readStream.schema("id LONG, key LONG, at TIMESTAMP, x DOUBLE").json(s"$base/json")
    val keep: (org.apache.spark.sql.DataFrame, Long) => Unit =
      (batch, _) => batch.dropDuplicates("id").write.mode("append").parquet(s"$base/stream")
    val query = stream.writeStream.trigger(Trigger.AvailableNow).option("checkpointLocation", s"$base/checkpoint").foreachBatch(keep).start()
    query.awaitTermination()
  }
}
