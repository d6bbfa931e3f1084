package headway.host

import java.lang.reflect.{InvocationTargetException, Modifier}
import java.net.InetAddress
import java.util.UUID
import java.util.concurrent.CompletableFuture

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.headway.SessionScope
import py4j.ClientServer

/** The two ways a task runs here: `main` of a class in JARs, or a forked Python process that talks to this JVM. */
final class Tasks(base: SparkSession, zygote: Zygote) {
  val contexts = new Contexts(this, zygote)

  /** `{"run", "log", "main_class", "parameters": […], "jars": […]}` → `{"state", "error", "trace", "tainted"}`. */
  def jar(request: JsonNode): ObjectNode = {
    val run = begin(request)
    val parameters = texts(request, "parameters").toArray
    val thread = inThread(run) {
      run.open(base, texts(request, "jars"), settings(request))
      SessionScope.within(run.session) {
        val name = request.get("main_class").asText
        val main =
          try Class.forName(name, true, Thread.currentThread.getContextClassLoader).getMethod("main", classOf[Array[String]])
          catch {
            case _: ClassNotFoundException => throw new ClassNotFoundException(s"main class $name is in none of the task's JARs")
          }
        if (!Modifier.isStatic(main.getModifiers)) throw new NoSuchMethodException(s"$name.main is not static")
        main.invoke(null, parameters)
      }
    }
    await(run, thread)
    finish(run)
  }

  /** `{"run", "log", "jars": […], "python": {…}}` → the same; `python` goes to the zygote with the gateway added. */
  def python(request: JsonNode): ObjectNode = {
    val run = begin(request)
    val jars = texts(request, "jars")
    val opened = new CompletableFuture[ClientServer]()
    val secret = UUID.randomUUID.toString
    // The server's threads must be born in the run's thread, so that they inherit its group, session and tags.
    inThread(run) {
      try {
        run.open(base, jars, settings(request))
        def serve(): Unit = opened.complete(gateway(run, secret))
        if (jars.isEmpty) serve() else SessionScope.within(run.session)(serve())
      } catch { case thrown: Throwable => opened.completeExceptionally(thrown) }
    }
    var server: ClientServer = null
    try {
      server = opened.get()
      val message = request.get("python").deepCopy[ObjectNode]()
      message.put("op", "run").put("run", run.id).put("secret", secret)
      message.put("port", server.getJavaServer.getListeningPort)
      val ended = zygote.run(run.id, message)
      val (status, reason) = (ended.get("status").asInt, ended.path("reason").asText)
      if (status != 0 && run.error.isEmpty)
        run.error = if (reason.nonEmpty) reason else s"the Python process ended with status $status"
    } catch { case NonFatal(thrown) => run.fail(Option(thrown.getCause).getOrElse(thrown)) }
    finally if (server != null) server.shutdown()
    finish(run)
  }

  /** `{"run", "log", "statement", …}` → the same and what `Statements.execute` answers. */
  def sql(request: JsonNode): ObjectNode = {
    val run = begin(request)
    var found = Host.json.createObjectNode()
    val thread = inThread(run) {
      run.open(base, texts(request, "jars"), settings(request))
      found = SessionScope.within(run.session)(Statements.execute(run.session, request))
    }
    await(run, thread)
    val answer = finish(run)
    if (answer.get("state").asText == "SUCCESS") answer.setAll[ObjectNode](found) else answer
  }

  /** End a run, and the notebooks that it runs. */
  def cancel(id: String): Unit = Run.active.values.asScala.filter(run => run.id == id || run.id.startsWith(id + ".")).foreach { run =>
    run.cancel()
    zygote.cancel(run.id)
  }

  private def begin(request: JsonNode): Run = {
    val run = new Run(request.get("run").asText, request.get("log").asText, texts(request, "jars"), request.path("python").path("api"))
    run.tasks = this
    Run.active.put(run.id, run)
    run
  }

  private def inThread(run: Run)(body: => Unit): Thread = {
    val thread = new Thread(
      run.group,
      () =>
        try body
        catch {
          case _: ThreadDeath if run.exitStatus.isDefined => ()
          case invoked: InvocationTargetException =>
            invoked.getTargetException match {
              case _: ThreadDeath if run.exitStatus.isDefined => ()
              case thrown => run.fail(thrown)
            }
          case thrown: Throwable => run.fail(thrown)
        },
      "main-" + run.id,
      Tasks.StackBytes
    )
    thread.start()
    thread
  }

  /** Wait for a run's thread; one that goes on long after its cancel (an endless loop) is stopped, where this Java still
    * can (up to 19), and left behind where it cannot. Either way the driver is not to be trusted with much more.
    */
  private def await(run: Run, thread: Thread): Unit = {
    var patience = Tasks.PatienceMillis
    while (thread.isAlive && patience > 0) {
      thread.join(Tasks.LookMillis)
      if (run.canceled) patience -= Tasks.LookMillis
    }
    if (thread.isAlive) {
      run.tainted = true
      val threads = new Array[Thread](run.group.activeCount + 10)
      threads.take(run.group.enumerate(threads)).foreach { left =>
        try classOf[Thread].getMethod("stop").invoke(left)
        catch { case _: ReflectiveOperationException | _: UnsupportedOperationException => () }
      }
      thread.join(Tasks.LookMillis * 10)
    }
  }

  private def gateway(run: Run, secret: String): ClientServer = {
    val server = new ClientServer.ClientServerBuilder()
      .javaPort(0)
      .javaAddress(InetAddress.getLoopbackAddress)
      .authToken(secret)
      .entryPoint(run)
      .build()
    server.startServer(true)
    while (server.getJavaServer.getListeningPort <= 0) Thread.sleep(1)
    server
  }

  private def finish(run: Run): ObjectNode = {
    run.exitStatus.filter(_ != 0).foreach(status => run.error = s"System.exit($status)")
    val ended = run.exitStatus.contains(0)
    Run.active.keySet.asScala.filter(_.startsWith(run.id + ".")).foreach(cancel)
    val state = if (run.canceled) "CANCELED" else if (run.error.isEmpty || ended) "SUCCESS" else "FAILED"
    run.close()
    Run.active.remove(run.id)
    Host.json
      .createObjectNode()
      .put("state", state)
      .put("error", if (state == "SUCCESS") "" else run.error)
      .put("trace", if (state == "SUCCESS") "" else run.trace)
      .put("error_class", run.errorClass)
      .put("sql_state", run.sqlState)
      .put("tainted", run.tainted || leavesThreads(run))
  }

  /** Whether threads outlive their run. Those that end with it, as its gateway's, have a moment for that. */
  private def leavesThreads(run: Run): Boolean = {
    val deadline = System.nanoTime + Tasks.PatienceMillis * 1000000
    while (run.group.activeCount > 0 && System.nanoTime < deadline) Thread.sleep(5)
    run.group.activeCount > 0
  }

  private def settings(request: JsonNode): Map[String, String] =
    request.path("conf").properties.asScala.map(entry => entry.getKey -> entry.getValue.asText).toMap

  private def texts(node: JsonNode, field: String): Seq[String] = node.path(field).asScala.map(_.asText).toSeq
}

object Tasks {
  val StackBytes: Long = 16L << 20
  val PatienceMillis = 5000L
  val LookMillis = 100L
}
