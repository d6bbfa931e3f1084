package headway.host

import java.net.{HttpURLConnection, URI, URLEncoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Base64

import scala.collection.mutable
import scala.jdk.CollectionConverters._

import org.apache.hadoop.fs.{FileSystem, FileUtil, Path}
import org.apache.spark.sql.Dataset

/** `dbutils`, `display` and `displayHTML` of Scala cells: what they share with the run's Python comes with each cell. */
final class Utilities(run: Run) {
  private val values = mutable.Map.empty[String, String]
  private val outputs = new java.util.ArrayList[java.util.Map[String, Any]]()
  private var exit: Option[String] = None

  def begin(): Unit = { outputs.clear(); exit = None }
  def shown: java.util.List[java.util.Map[String, Any]] = outputs
  def exited: Option[String] = exit
  def give(pairs: java.util.List[String]): Unit = {
    values.clear()
    pairs.asScala.grouped(2).foreach(pair => values(pair.head) = pair(1))
  }

  def display(value: Any): Unit = value match {
    case frame: Dataset[_] => outputs.add(Map[String, Any]("kind" -> "table", "frame" -> frame.toDF()).asJava)
    case other => println(other)
  }
  def displayHTML(value: String): Unit = outputs.add(Map[String, Any]("kind" -> "html", "html" -> value).asJava)

  object widgets {
    def text(name: String, default: String, label: String = ""): Unit = { values.getOrElseUpdate(name, default); () }
    def dropdown(name: String, default: String, choices: Seq[String], label: String = ""): Unit = text(name, default)
    def combobox(name: String, default: String, choices: Seq[String], label: String = ""): Unit = text(name, default)
    def multiselect(name: String, default: String, choices: Seq[String], label: String = ""): Unit = text(name, default)
    def get(name: String): String =
      values.getOrElse(name, throw new IllegalArgumentException(s"InputWidgetNotDefined: No input widget named $name is defined"))
    def remove(name: String): Unit = { values.remove(name); () }
    def removeAll(): Unit = values.clear()
  }

  object notebook {
    def exit(value: String): Nothing = {
      Utilities.this.exit = Some(value)
      throw new InterruptedException("the notebook has exited")
    }
  }

  object secrets {
    def getBytes(scope: String, key: String): Array[Byte] = {
      val answer = run.api("/api/2.0/secrets/get?scope=" + encoded(scope) + "&key=" + encoded(key))
      Base64.getDecoder.decode(answer.get("value").asText)
    }
    def get(scope: String, key: String): String = new String(getBytes(scope, key), UTF_8)
    private def encoded(text: String) = URLEncoder.encode(text, UTF_8)
  }

  object fs {
    private def place(path: String): (FileSystem, Path) = {
      val named = new Path(if (path.startsWith("/") && !path.startsWith("/dbfs/")) "dbfs:" + path else path.replaceFirst("^/dbfs/", "dbfs:/"))
      (named.getFileSystem(run.session.sessionState.newHadoopConf()), named)
    }
    def ls(path: String): Seq[FileInfo] = {
      val (system, folder) = place(path)
      system.listStatus(folder).toSeq.map { status =>
        val end = if (status.isDirectory) "/" else ""
        FileInfo(status.getPath.toString + end, status.getPath.getName + end, status.getLen, status.getModificationTime)
      }
    }
    def mkdirs(path: String): Boolean = { val (system, folder) = place(path); system.mkdirs(folder) }
    def rm(path: String, recurse: Boolean = false): Boolean = { val (system, file) = place(path); system.delete(file, recurse) }
    def put(path: String, contents: String, overwrite: Boolean = false): Boolean = {
      val (system, file) = place(path)
      val output = system.create(file, overwrite)
      try output.write(contents.getBytes(UTF_8)) finally output.close()
      true
    }
    def head(path: String, maxBytes: Int = 65536): String = {
      val (system, file) = place(path)
      val input = system.open(file)
      try new String(input.readNBytes(maxBytes), UTF_8) finally input.close()
    }
    def cp(from: String, to: String, recurse: Boolean = false): Boolean = copy(from, to, recurse, move = false)
    def mv(from: String, to: String, recurse: Boolean = false): Boolean = copy(from, to, recurse, move = true)
    private def copy(from: String, to: String, recurse: Boolean, move: Boolean): Boolean = {
      val (system, file) = place(from)
      val (target, goal) = place(to)
      if (system.getFileStatus(file).isDirectory && !recurse)
        throw new java.io.IOException(s"$from is a directory; pass recurse = true")
      FileUtil.copy(system, file, target, goal, move, true, run.session.sessionState.newHadoopConf())
    }
  }
}

/** What `dbutils.fs.ls` tells of a file. */
final case class FileInfo(path: String, name: String, size: Long, modificationTime: Long) {
  def isDir: Boolean = name.endsWith("/")
  def isFile: Boolean = !isDir
}

object Utilities {

  /** GET of the workspace's API with the run's token; an exception has the workspace's words. */
  def get(url: String, token: String): com.fasterxml.jackson.databind.JsonNode = {
    val connection = URI.create(url).toURL.openConnection(java.net.Proxy.NO_PROXY).asInstanceOf[HttpURLConnection]
    connection.setRequestProperty("Authorization", "Bearer " + token)
    connection.setConnectTimeout(60000)
    connection.setReadTimeout(60000)
    val good = connection.getResponseCode < 400
    val body = Host.json.readTree(if (good) connection.getInputStream else connection.getErrorStream)
    if (good) body
    else throw new RuntimeException(s"${body.path("error_code").asText}: ${body.path("message").asText}")
  }
}
