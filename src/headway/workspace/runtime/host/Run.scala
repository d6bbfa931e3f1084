package headway.host

import java.io.{FileOutputStream, OutputStream, PrintStream, PrintWriter, StringWriter}
import java.util.concurrent.ConcurrentHashMap

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.{MissingNode, ObjectNode}
import org.apache.spark.{SparkThrowable, TaskContext}
import org.apache.spark.api.java.JavaSparkContext
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.headway.SessionScope

/** One task run on this driver: a thread group, a session and a log of its own. */
final class Run(val id: String, log: String, jars: Seq[String] = Nil, access: JsonNode = MissingNode.getInstance) {
  val group = new ThreadGroup(Run.root, Guard.Prefix + id)
  val out: OutputStream = new Run.Log(new FileOutputStream(log, true))
  @volatile var tasks: Tasks = _
  @volatile var worker: Thread = _
  @volatile var session: SparkSession = _
  @volatile var canceled = false
  @volatile var tainted = false
  @volatile var error: String = ""
  @volatile var trace: String = ""
  @volatile var errorClass: String = ""
  @volatile var sqlState: String = ""
  lazy val utilities = new Utilities(this)
  private var interpreter: Interpreter = _

  /** The status given to `System.exit` by this run, if it called it. */
  def exitStatus: Option[Int] = Option(System.getProperty(Guard.ExitProperty + group.getName)).map(_.toInt)

  /** By what Spark knows the JARs of this run; None where it has none. */
  def jarsKey: Option[String] = if (jars.isEmpty) None else Option(session).flatMap(SessionScope.key)

  def tag: String = Guard.Prefix + id

  // What a Python run asks for through Py4J.
  def getSession: SparkSession = session
  def getJsc: JavaSparkContext = JavaSparkContext.fromSparkContext(session.sparkContext)

  /** A Scala cell of this run; `widgets` are names and values in turn. */
  def scala(text: String, widgets: java.util.List[String]): java.util.Map[String, Any] = synchronized {
    if (interpreter == null) interpreter = new Interpreter(this, jars)
    utilities.give(widgets)
    interpreter.execute(text)
  }

  /** Another notebook on this driver, as `dbutils.notebook.run` starts it: the request of a Python run, as JSON. */
  def notebook(request: String): String = {
    val python = Host.json.readTree(request).asInstanceOf[ObjectNode]
    val message = Host.json.createObjectNode().put("run", python.get("run").asText).put("log", log)
    message.set[ObjectNode]("python", python)
    val files = message.putArray("jars")
    jars.foreach(files.add)
    Host.json.writeValueAsString(tasks.python(message))
  }
  def cancelChild(id: String): Unit = tasks.cancel(id)

  /** GET of the workspace's API as this run's user. */
  def api(path: String): JsonNode = {
    if (access.path("token").asText.isEmpty) throw new IllegalStateException("this run has no access to the workspace's API")
    Utilities.get(access.get("url").asText + path, access.get("token").asText)
  }

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
    thrown match {
      case known: SparkThrowable =>
        errorClass = Option(known.getErrorClass).getOrElse("")
        sqlState = Option(known.getSqlState).getOrElse("")
      case _ => ()
    }
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

  /** End what it does at present, as the cancel of a context's command does: its Spark jobs and its Scala. */
  def interrupt(): Unit = {
    Option(session).foreach(SessionScope.cancel(_, tag, "canceled"))
    Option(worker).foreach(_.interrupt())
  }

  def close(): Unit = {
    synchronized(if (interpreter != null) interpreter.close())
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
  val LogLimit: Long = 64L << 20
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

  /** A log that takes `LogLimit` bytes: no run fills the disk. */
  final class Log(file: FileOutputStream) extends OutputStream {
    private var left = LogLimit - file.getChannel.size
    private var told = false
    override def write(byte: Int): Unit = write(Array(byte.toByte), 0, 1)
    override def write(bytes: Array[Byte], offset: Int, count: Int): Unit = synchronized {
      val kept = math.min(left, count.toLong).toInt
      if (kept > 0) file.write(bytes, offset, kept)
      left -= kept
      if (kept < count && !told) {
        told = true
        file.write(s"\n[headway] this run printed more than ${LogLimit >> 20} MB: what follows is not kept\n".getBytes("UTF-8"))
      }
    }
    override def close(): Unit = file.close()
  }

  /** Standard output or error: to the log of the run that writes, else to the driver's own. */
  final class Router(driver: PrintStream) extends OutputStream {
    private def target: OutputStream = current.map(_.out).getOrElse(driver)
    override def write(byte: Int): Unit = target.write(byte)
    override def write(bytes: Array[Byte], offset: Int, count: Int): Unit = target.write(bytes, offset, count)
    override def flush(): Unit = target.flush()
  }
}
