package headway.host

import java.io.{ByteArrayOutputStream, OutputStream, PrintStream, PrintWriter}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.Files

import scala.jdk.CollectionConverters._
import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.{IMain, Results}

import org.apache.spark.sql.headway.SessionScope

/** The Scala of one run: an interpreter whose classes reach Spark's tasks through the session's own artifacts.
  *
  * It is made when the run's first Scala cell comes. `execute` runs in the thread of its caller, one cell at a time.
  */
final class Interpreter(run: Run, jars: Seq[String]) {
  private val printed = new Interpreter.Kept(run.out)
  private val stream = new PrintStream(printed, true, UTF_8)

  private val interpreter: IMain = {
    val classes = SessionScope.classFolder(run.session)
    Files.createDirectories(classes)
    val settings = new Settings(message => stream.println(message))
    val options = List("-usejavacp", "-Yrepl-class-based", "-Yrepl-outdir", classes.toString, "-Yrangepos", "-nowarn")
    settings.processArguments(options ++ (if (jars.isEmpty) Nil else List("-classpath", jars.mkString(":"))), processAll = true)
    // The session's own loader finds the interpreter's classes too: what a query makes and what a cell names are one.
    val loader = SessionScope.loader(run.session)
    Repl.make(settings, loader, new PrintWriter(stream, true))
  }

  private val own = s"""headway.host.Run.active.get("${run.id}")"""
  interpreter.beQuietDuring {
    val start = Seq(
      s"@transient val spark: org.apache.spark.sql.SparkSession = $own.getSession",
      "@transient val sc: org.apache.spark.SparkContext = spark.sparkContext",
      s"@transient val dbutils: headway.host.Utilities = $own.utilities",
      "import spark.implicits._",
      "import spark.sql",
      "import org.apache.spark.sql.functions._",
      s"def display(value: Any): Unit = $own.utilities.display(value)",
      s"def displayHTML(value: String): Unit = $own.utilities.displayHTML(value)"
    )
    if (interpreter.interpret(start.mkString("\n")) != Results.Success)
      throw new IllegalStateException("Scala did not start: " + printed.take())
  }
  printed.take()

  /** Run a cell: `{"state": SUCCESS | FAILED | EXIT, "printed", "error", "trace", "shown": […], "exit"}`. */
  def execute(text: String): java.util.Map[String, Any] = {
    val thread = Thread.currentThread
    val before = thread.getContextClassLoader
    thread.setContextClassLoader(interpreter.classLoader)
    run.worker = thread
    run.utilities.begin()
    val result =
      try
        SessionScope.withClasses(run.session) {
          Console.withOut(stream)(Console.withErr(stream)(interpret(text)))
        }
      finally {
        run.worker = null
        Thread.interrupted()
        thread.setContextClassLoader(before)
      }
    stream.flush()
    val shown = printed.take()
    val exit = run.utilities.exited
    val state = if (exit.isDefined) "EXIT" else if (result == Results.Success) "SUCCESS" else "FAILED"
    val problem =
      if (result == Results.Incomplete) "the cell's Scala is incomplete: a bracket or a quote is missing"
      else
        shown.split("\n").find(line => Interpreter.Error.findFirstIn(line).isDefined).getOrElse(shown.split("\n").head)
    Map[String, Any](
      "state" -> state,
      "printed" -> (if (exit.isDefined) "" else shown),
      "error" -> (if (state == "FAILED") problem.trim else ""),
      "trace" -> (if (state == "FAILED") shown else ""),
      "shown" -> run.utilities.shown,
      "exit" -> exit.orNull
    ).asJava
  }

  private def interpret(text: String): Results.Result =
    parts(text).foldLeft[Results.Result](Results.Success) { (before, part) =>
      if (before == Results.Success) interpreter.interpret(part) else before
    }

  /** A cell's classes apart from the statements that use them: a class whose cell is still being evaluated cannot be made
    * by Spark, which finds it by way of the evaluated cell.
    */
  private def parts(text: String): Seq[String] = {
    val trees = Repl.trees(interpreter)(text)
    val kinds = trees.map {
      case _: interpreter.global.ClassDef | _: interpreter.global.ModuleDef => Some(true)
      case _: interpreter.global.DefDef | _: interpreter.global.Import | _: interpreter.global.TypeDef => None
      case _ => Some(false)
    }
    var present: Option[Boolean] = None
    val cuts = trees.zip(kinds).flatMap { case (tree, kind) =>
      val changes = kind.isDefined && present.isDefined && kind != present
      if (kind.isDefined) present = kind
      if (changes && tree.pos.isRange) Some(text.lastIndexOf('\n', tree.pos.start) + 1) else None
    }.distinct.filter(_ > 0)
    (0 +: cuts).zip(cuts :+ text.length).map { case (from, to) =>
      "\n" * text.take(from).count(_ == '\n') + text.substring(from, to) // so that lines keep their numbers
    }
  }

  def close(): Unit = interpreter.close()
}

object Interpreter {
  private val Limit = 1 << 20
  private val Error = """(?:Exception|Error)\b|: error:|^error:""".r

  /** Writes through to the run's log, and keeps what the present cell printed. */
  private final class Kept(log: OutputStream) extends OutputStream {
    private val kept = new ByteArrayOutputStream()
    override def write(byte: Int): Unit = write(Array(byte.toByte), 0, 1)
    override def write(bytes: Array[Byte], offset: Int, count: Int): Unit = synchronized {
      log.write(bytes, offset, count)
      if (kept.size < Limit) kept.write(bytes, offset, count)
    }
    def take(): String = synchronized {
      val text = kept.toString(UTF_8)
      kept.reset()
      text
    }
  }
}
