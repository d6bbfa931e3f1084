package ingest

import java.nio.file.{Files, Path}

import scala.collection.mutable.ListBuffer
import scala.util.{Failure, Success, Try}

import org.apache.spark.sql.SparkSession

/** The tests of `ingest`: run by `main`, told as JUnit XML. Spark's own JARs are all that they need. */
object Tests {
  private val cases = ListBuffer.empty[(String, () => Unit)]
  private def test(name: String)(body: => Unit): Unit = cases += name -> (() => body)
  private def same(actual: Any, expected: Any): Unit = if (actual != expected) throw new AssertionError(s"$actual is not $expected")

  private lazy val spark = SparkSession
    .builder()
    .master("local[2]")
    .config("spark.ui.enabled", "false")
    .config("spark.sql.shuffle.partitions", "1")
    .config("spark.sql.adaptive.enabled", "false")
    .config("spark.sql.codegen.wholeStage", "false")
    .config("spark.log.level", "WARN")
    .getOrCreate()

  private def statement(id: String, verb: String, at: String, learner: String = "ada", result: String = "{}"): String =
    s"""{"id":"$id","actor":{"account":{"homePage":"h","name":"$learner"}},"verb":{"id":"http://adlnet.gov/expapi/verbs/$verb"},""" +
      s""""object":{"id":"pendulum"},"timestamp":"$at","result":$result,"context":{"registration":"r-$learner"}}"""

  private def ingest(root: Path, file: String, lines: Seq[String]): String = {
    Files.createDirectories(root.resolve("statements"))
    Files.writeString(root.resolve("statements").resolve(file), lines.mkString("\n"))
    Main.run(spark, root.toUri.toString, 30)
    Main.totals(spark, root.toUri.toString)
  }

  test("a duration in seconds is read")(same(Statements.seconds("PT12.5S"), Some(12.5)))
  test("what is no duration gives none")(same(Statements.seconds("soon"), None))
  test("no duration gives none")(same(Statements.seconds(null), None))

  test("every line is accepted, refused or a duplicate") {
    val root = Files.createTempDirectory("ingest")
    val one = statement("1", "initialized", "2026-03-02T09:00:00Z")
    val two = statement("2", "answered", "2026-03-02T09:01:00Z", result = """{"success":true,"duration":"PT9S"}""")
    val bad = Seq("{broken", """{"id":"9"}""", statement("3", "answered", "yesterday"))
    same(
      ingest(root, "a.json", Seq(one, two, two) ++ bad),
      """{"read":6,"accepted":2,"malformed":3,"duplicates":1,"sessions":1}"""
    )
    val refused = spark.read.json(root.resolve("quarantine").toUri.toString)
    same(refused.count(), 3L)
    same(refused.filter("reason is null").count(), 0L)
    // A second run takes only what is new, and knows what it took before.
    val three = statement("4", "completed", "2026-03-02T10:00:00Z")
    same(
      ingest(root, "b.json", Seq(two, three)),
      """{"read":8,"accepted":3,"malformed":3,"duplicates":2,"sessions":2}"""
    )
    val sessions = spark.read.parquet(root.resolve("sessions").toUri.toString).orderBy("started")
    val first = sessions.first()
    same(first.getAs[Long]("answers"), 1L)
    same(first.getAs[Long]("correct"), 1L)
    same(first.getAs[Double]("answer_seconds"), 9.0)
    same(first.getAs[Double]("minutes"), 1.0)
  }

  def main(arguments: Array[String]): Unit = {
    val began = System.nanoTime
    val results = cases.toList.map { case (name, body) => (name, Try(body())) }
    val failed = results.count(_._2.isFailure)
    Files.writeString(Path.of(arguments(0), "ingest-tests.xml"), report(results))
    results.foreach {
      case (name, Success(_))      => println(s"ok      $name")
      case (name, Failure(thrown)) => println(s"FAILED  $name: $thrown")
    }
    println(s"${results.size - failed} passed, $failed failed in ${(System.nanoTime - began) / 1000000} ms")
    System.exit(if (failed == 0) 0 else 1)
  }

  private def report(results: Seq[(String, Try[Unit])]): String = {
    def escaped(text: String) = text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;")
    val lines = results.map {
      case (name, Success(_))      => s"""  <testcase classname="ingest.Tests" name="${escaped(name)}"/>"""
      case (name, Failure(thrown)) => s"""  <testcase classname="ingest.Tests" name="${escaped(name)}"><failure message="${escaped(thrown.toString)}"/></testcase>"""
    }
    s"""<testsuite name="ingest" tests="${results.size}">\n${lines.mkString("\n")}\n</testsuite>\n"""
  }
}
