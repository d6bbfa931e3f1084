package headway.host

import java.io.{FileOutputStream, OutputStream, PrintStream, PrintWriter, StringWriter}
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.TaskContext
import org.apache.spark.api.java.JavaSparkContext
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.headway.SessionScope

/** One task run on this driver: a thread group, a session and a log of its own. */
final class Run(val id: String, log: String) {
  val group = new ThreadGroup(Run.root, Guard.Prefix + id)
  val out: OutputStream = new FileOutputStream(log, true)
  @volatile var session: SparkSession = _
  @volatile var canceled = false
  @volatile var error: String = ""
  @volatile var trace: String = ""

  /** The status given to `System.exit` by this run, if it called it. */
  def exitStatus: Option[Int] = Option(System.getProperty(Guard.ExitProperty + group.getName)).map(_.toInt)

  def tag: String = Guard.Prefix + id

  // What a Python run asks for through Py4J.
  def getSession: SparkSession = session
  def getJsc: JavaSparkContext = JavaSparkContext.fromSparkContext(session.sparkContext)

  /** A session of its own, active in this thread, whose jobs carry the run's tag, group and FAIR pool. */
  def open(base: SparkSession, jars: Seq[String], settings: Map[String, String]): Unit = {
    Host.metastore.foreach(_.refresh())
    session = base.newSession()
    settings.foreach { case (key, value) => session.conf.set(key, value) }
    // A session with artifacts gives Python workers an identity of their own, so that each would start a daemon.
    if (jars.isEmpty) session.conf.set("spark.sql.artifact.isolation.enabled", "false")
    SessionScope.add(session, jars)
    org.apache.spark.sql.SparkSession.setActiveSession(session)
    val context = session.sparkContext
    context.setLocalProperty(Run.Property, id)
    context.addJobTag(tag)
    context.setJobGroup(tag, tag, interruptOnCancel = true)
  }

  def fail(thrown: Throwable): Unit = {
    val text = new StringWriter
    thrown.printStackTrace(new PrintWriter(text))
    error = thrown.toString.split("\n", 2).headOption.filter(_.nonEmpty).getOrElse(thrown.getClass.getName)
    trace = text.toString.take(Run.TraceLimit)
    out.write(text.toString.getBytes("UTF-8"))
  }

  /** End the run's Spark jobs, streams and threads, and nothing else. */
  def cancel(): Unit = {
    canceled = true
    val current = session
    if (current != null) {
      SessionScope.cancel(current, tag, "canceled")
      current.streams.active.foreach(_.stop())
    }
    group.interrupt()
  }

  def close(): Unit = {
    val current = session
    if (current != null) {
      current.streams.active.foreach(_.stop())
      SessionScope.cancel(current, tag, "its run has ended")
      SessionScope.close(current)
      session = null
    }
    org.apache.spark.sql.SparkSession.clearActiveSession()
    System.clearProperty(Guard.ExitProperty + group.getName)
    out.close()
  }
}

object Run {
  val Property = "headway.run"
  val TraceLimit = 64 * 1024
  val root: ThreadGroup = Thread.currentThread.getThreadGroup
  val active = new ConcurrentHashMap[String, Run]()

  /** Whose output this thread writes: by thread group on the driver, by local property in the tasks of local mode. */
  def current: Option[Run] = {
    var group = Thread.currentThread.getThreadGroup
    while (group != null && !group.getName.startsWith(Guard.Prefix)) group = group.getParent
    val id =
      if (group != null) group.getName.stripPrefix(Guard.Prefix)
      else Option(TaskContext.get()).map(_.getLocalProperty(Property)).orNull
    Option(id).flatMap(key => Option(active.get(key)))
  }

  /** Standard output or error: to the log of the run that writes, else to the driver's own. */
  final class Router(driver: PrintStream) extends OutputStream {
    private def target: OutputStream = current.map(_.out).getOrElse(driver)
    override def write(byte: Int): Unit = target.write(byte)
    override def write(bytes: Array[Byte], offset: Int, count: Int): Unit = target.write(bytes, offset, count)
    override def flush(): Unit = target.flush()
  }
}
