package headway.host

import java.io.{BufferedReader, File, InputStreamReader, PrintStream, PrintWriter}
import java.net.{InetAddress, ServerSocket, Socket}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, StandardCopyOption}
import java.nio.file.attribute.PosixFilePermissions
import java.security.MessageDigest
import java.util.UUID
import java.util.concurrent.atomic.{AtomicInteger, AtomicLong}

import scala.concurrent.{Await, ExecutionContext, Future}
import scala.concurrent.duration.Duration
import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.{JsonNode, ObjectMapper}
import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.headway.{Insight, OwnJars}

/** A driver: one JVM with one Spark context that runs tasks for its supervisor.
  *
  * Arguments: the driver's folder, the lease in seconds, then the command of the Python zygote. Once it is ready it writes
  * `driver.json` (`{port, secret, pid, spark, application}`, readable by its owner only) into the folder and listens on
  * loopback for JSON lines; the first line of a connection is the secret. A supervisor holds one connection that says
  * `{"op": "lease"}`; while there is none for the lease's length the driver ends itself, so that it does not outlive its
  * supervisor for long. Until then another may take it over.
  */
object Host {
  val json = new ObjectMapper()
  /** Tables that outlive this driver; none in a training run. */
  @volatile var metastore: Option[Metastore] = None
  /** What this driver's supervisor shows to be let in. */
  val secret: String = UUID.randomUUID.toString + UUID.randomUUID.toString
  private val leases = new AtomicInteger()
  private val lastSeen = new AtomicLong(System.nanoTime)

  def main(arguments: Array[String]): Unit = {
    val folder = new File(arguments(0))
    val lease = arguments(1).toLong
    System.setOut(new PrintStream(new Run.Router(System.out), true, UTF_8))
    System.setErr(new PrintStream(new Run.Router(System.err), true, UTF_8))
    settings(folder)
    val zygote = new Zygote(arguments.drop(2).toSeq.asJava, new File(folder, "logs/python"))
    val base = org.apache.spark.sql.SparkSession.builder().withExtensions(new Catalogs).getOrCreate().asInstanceOf[SparkSession]
    OwnJars.only(base.sparkContext, Run.Property, id => Option(Run.active.get(id)).flatMap(_.jarsKey))
    warmUp(base)
    if (lease == 0) { // a training run for the class-data archive
      Training.run(base, folder)
      base.stop()
      System.exit(0)
    }
    Option(base.sparkContext.hadoopConfiguration.get("headway.metastore")).map(new File(_)).foreach { root =>
      Catalogs.in(root)
      val store = new Metastore(root, base.sharedState.externalCatalog)
      base.sharedState.externalCatalog.addListener(store)
      metastore = Some(store)
    }
    serve(folder, lease, base, new Tasks(base, zygote))
  }

  /** What Spark is to be given, from a file that only its owner could read: gone once it is read. */
  private def settings(folder: File): Unit = {
    val file = new File(folder, "settings.json")
    json.readTree(file).properties.asScala.foreach(entry => System.setProperty(entry.getKey, entry.getValue.asText))
    file.delete()
  }

  /** The first query of a JVM takes seconds; and pools that are shared must be born outside any run's thread group. */
  private def warmUp(base: SparkSession): Unit = {
    base.range(10).selectExpr("sum(id)").collect()
    implicit val pool: ExecutionContext = ExecutionContext.global
    val births = (1 to 2 * Runtime.getRuntime.availableProcessors).map(_ => Future(Thread.sleep(10)))
    Await.result(Future.sequence(births), Duration.Inf)
  }

  private def serve(folder: File, lease: Long, base: SparkSession, tasks: Tasks): Unit = {
    val server = new ServerSocket(0, 64, InetAddress.getLoopbackAddress)
    announce(folder, server.getLocalPort, secret, base)
    val watch = new Thread(Run.root, () => endWithoutSupervisor(lease), "lease")
    watch.setDaemon(true)
    watch.start()
    while (true) {
      val socket = server.accept()
      val thread = new Thread(Run.root, () => converse(socket, secret, base, tasks), "supervisor")
      thread.setDaemon(true)
      thread.start()
    }
  }

  private def announce(folder: File, port: Int, secret: String, base: SparkSession): Unit = {
    val said = json.createObjectNode().put("port", port).put("secret", secret).put("pid", ProcessHandle.current.pid)
    said.put("spark", base.version).put("application", base.sparkContext.applicationId)
    val owner = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"))
    val draft = Files.createTempFile(folder.toPath, "driver", ".json", owner)
    Files.write(draft, json.writeValueAsBytes(said))
    Files.move(draft, folder.toPath.resolve("driver.json"), StandardCopyOption.ATOMIC_MOVE)
  }

  private def endWithoutSupervisor(lease: Long): Unit = while (true) {
    Thread.sleep(1000)
    if (leases.get == 0 && System.nanoTime - lastSeen.get > lease * 1000000000L) {
      System.err.println(s"no supervisor for $lease s: ending")
      Runtime.getRuntime.halt(3)
    }
  }

  private def converse(socket: Socket, secret: String, base: SparkSession, tasks: Tasks): Unit = {
    lastSeen.set(System.nanoTime)
    var lease = false
    try {
      val lines = new BufferedReader(new InputStreamReader(socket.getInputStream, UTF_8))
      val writer = new PrintWriter(new java.io.OutputStreamWriter(socket.getOutputStream, UTF_8), true)
      val offered = Option(lines.readLine()).getOrElse("")
      if (MessageDigest.isEqual(offered.getBytes(UTF_8), secret.getBytes(UTF_8)))
        Iterator.continually(lines.readLine()).takeWhile(_ != null).foreach { line =>
          val request = json.readTree(line)
          if (request.path("op").asText == "lease" && !lease) {
            lease = true
            leases.incrementAndGet()
          }
          writer.println(json.writeValueAsString(answer(request, base, tasks)))
        }
    } catch { case _: java.io.IOException => () } // the supervisor went away
    finally {
      socket.close()
      lastSeen.set(System.nanoTime)
      if (lease) leases.decrementAndGet()
    }
  }

  private def answer(request: JsonNode, base: SparkSession, tasks: Tasks): ObjectNode =
    try
      request.path("op").asText match {
        case "lease" => json.createObjectNode()
        case "start" =>
          Outcomes.start(request.get("run").asText)(answer(request.get("task"), base, tasks))
          json.createObjectNode()
        case "await" => Outcomes.await(request.get("run").asText)
        case "resize" =>
          val done = Insight.resize(base.sparkContext, request.get("least").asInt, request.get("most").asInt)
          json.createObjectNode().put("done", done)
        case "executors" =>
          val answer = json.createObjectNode()
          Insight.executors(base.sparkContext).foldLeft(answer.putArray("executors")) { (found, one) =>
            val said = found.addObject().put("id", one.id).put("host", one.hostPort).put("cores", one.totalCores)
            said.put("memory", one.maxMemory).put("active", one.activeTasks).put("started_ms", one.addTime.getTime)
            found
          }
          answer
        case "ui" => json.createObjectNode().put("port", Insight.ui(base))
        case "jar" => tasks.jar(request)
        case "python" => tasks.python(request)
        case "sql" => tasks.sql(request)
        case "context" => tasks.contexts.create(request)
        case "execute" => tasks.contexts.execute(request)
        case "interrupt" =>
          tasks.contexts.interrupt(request.get("run").asText)
          json.createObjectNode()
        case "cancel" =>
          tasks.cancel(request.get("run").asText)
          json.createObjectNode()
        case "stop" =>
          new Thread(Run.root, () => { base.stop(); Runtime.getRuntime.halt(0) }, "stop").start()
          json.createObjectNode()
        case "ping" => json.createObjectNode().put("runs", Run.active.size)
        case other => json.createObjectNode().put("failure", s"unknown operation $other")
      }
    catch {
      case thrown: Throwable =>
        thrown.printStackTrace()
        json.createObjectNode().put("failure", thrown.toString)
    }
}
