package headway.host

import java.io.File
import java.net.{URI, URLDecoder, URLEncoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, StandardCopyOption}
import java.util.UUID

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.sql.catalyst.TableIdentifier
import org.apache.spark.sql.catalyst.catalog._
import org.apache.spark.sql.types.{DataType, StructType}

/** Databases and tables that outlive this driver: a folder of JSON files (`services/unity/store.py` is its other side).
  *
  * What is created, changed or dropped here is written there at once; what others wrote is taken over before each run.
  * Partitions of tables are found by listing their folders.
  */
final class Metastore(root: File, external: ExternalCatalogWithListener) extends ExternalCatalogEventListener {
  private val own = external.unwrapped
  private val databases = new File(root, "databases")
  private var known = Map.empty[String, Long]

  /** Take over what the files say now. Only files that changed since are read. */
  def refresh(): Unit = synchronized {
    val found = scan()
    known.keys.toSeq.filterNot(found.contains).sortBy(-_.length).foreach(forget)
    found.toSeq.sortBy(_._1.length).foreach { case (path, stamp) =>
      if (!known.get(path).contains(stamp))
        try take(path)
        catch { case NonFatal(thrown) => System.err.println(s"metastore: $path is left out: $thrown") }
    }
    known = found
  }

  /** Databases (`x/database.json`) before their tables (`x/tables/y.json`), by path, with when they were written. */
  private def scan(): Map[String, Long] =
    Option(databases.listFiles).toSeq.flatten.filter(_.isDirectory).flatMap { folder =>
      val database = new File(folder, "database.json")
      val tables = Option(new File(folder, "tables").listFiles).toSeq.flatten
      if (!database.exists) Nil
      else
        (folder.getName + "/database.json" -> database.lastModified) +:
          tables.filter(_.getName.endsWith(".json")).filterNot(_.getName.startsWith(".")).map { file =>
            s"${folder.getName}/tables/${file.getName}" -> file.lastModified
          }
    }.toMap

  private def take(path: String): Unit = {
    val told = Host.json.readTree(new File(databases, path))
    if (path.endsWith("/database.json")) {
      val database = CatalogDatabase(
        told.get("name").asText,
        told.path("description").asText(""),
        new URI(told.get("location").asText),
        texts(told.path("properties"))
      )
      if (own.databaseExists(database.name)) own.alterDatabase(database)
      else own.createDatabase(database, ignoreIfExists = true)
    } else {
      val table = Metastore.table(told)
      if (own.tableExists(table.database, table.identifier.table)) own.alterTable(table)
      else own.createTable(table, ignoreIfExists = true)
    }
  }

  private def forget(path: String): Unit = path.split('/') match {
    case Array(database, "tables", file) =>
      val (name, table) = (decoded(database), decoded(file.stripSuffix(".json")))
      if (own.databaseExists(name) && own.tableExists(name, table)) {
        // As an external table: whoever dropped it removed its files too.
        own.alterTable(own.getTable(name, table).copy(tableType = CatalogTableType.EXTERNAL))
        own.dropTable(name, table, ignoreIfNotExists = true, purge = false)
      }
    case Array(database, _) =>
      val name = decoded(database)
      if (name != "default" && own.databaseExists(name)) own.dropDatabase(name, ignoreIfNotExists = true, cascade = true)
    case _ => ()
  }

  override def onEvent(event: ExternalCatalogEvent): Unit = synchronized {
    event match {
      case CreateDatabaseEvent(name) => write(database(name), s"${encoded(name)}/database.json")
      case AlterDatabaseEvent(name)  => write(database(name), s"${encoded(name)}/database.json")
      case DropDatabaseEvent(name)   => remove(new File(databases, encoded(name)))
      case CreateTableEvent(name, table)             => save(name, table)
      case AlterTableEvent(name, table, _)           => save(name, table)
      case DropTableEvent(name, table)               => delete(name, table)
      case RenameTableEvent(name, old, table)        => delete(name, old); save(name, table)
      case _                                         => ()
    }
  }

  private def save(name: String, table: String): Unit =
    write(Metastore.told(own.getTable(name, table)), s"${encoded(name)}/tables/${encoded(table)}.json")

  private def delete(name: String, table: String): Unit = {
    val path = s"${encoded(name)}/tables/${encoded(table)}.json"
    new File(databases, path).delete()
    known -= path
  }

  private def database(name: String): ObjectNode = {
    val found = own.getDatabase(name)
    val file = new File(databases, s"${encoded(name)}/database.json")
    val told = if (file.exists) Host.json.readTree(file).deepCopy[ObjectNode]() else Host.json.createObjectNode()
    val now = System.currentTimeMillis
    if (!told.has("created_at")) told.put("created_at", now).put("owner", System.getProperty("user.name", ""))
    told.put("name", found.name).put("description", found.description).put("location", found.locationUri.toString)
    told.put("updated_at", now).set("properties", Host.json.valueToTree[JsonNode](found.properties.asJava))
    told
  }

  private def write(told: ObjectNode, path: String): Unit = {
    val file = new File(databases, path)
    file.getParentFile.mkdirs()
    val draft = new File(file.getParentFile, s".${UUID.randomUUID}")
    Files.write(draft.toPath, Host.json.writeValueAsBytes(told))
    Files.move(draft.toPath, file.toPath, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING)
    known += path -> file.lastModified
  }

  private def remove(folder: File): Unit = {
    Option(folder.listFiles).toSeq.flatten.foreach(file => if (file.isDirectory) remove(file) else file.delete())
    folder.delete()
    known = known.filterNot { case (path, _) => path.startsWith(folder.getName + "/") }
  }

  private def texts(node: JsonNode): Map[String, String] =
    node.properties.asScala.map(entry => entry.getKey -> entry.getValue.asText).toMap

  private def encoded(name: String): String = URLEncoder.encode(name, UTF_8).replace("+", "%20").replace("*", "%2A")
  private def decoded(name: String): String = URLDecoder.decode(name.replace("+", "%2B"), UTF_8)
}

object Metastore {

  /** A table as its file tells of it. */
  def told(table: CatalogTable): ObjectNode = {
    val data = Host.json.createObjectNode()
    data.put("name", table.identifier.table).put("database", table.database).put("type", table.tableType.name)
    data.put("location", table.storage.locationUri.map(_.toString).getOrElse("")).put("owner", table.owner)
    data.put("created_ms", table.createTime).put("provider", table.provider.orNull)
    data.set[JsonNode]("schema", Host.json.readTree(table.schema.json))
    data.set[JsonNode]("partition_columns", Host.json.valueToTree[JsonNode](table.partitionColumnNames.asJava))
    data.set[JsonNode]("properties", Host.json.valueToTree[JsonNode](table.properties.asJava))
    data.set[JsonNode]("storage_properties", Host.json.valueToTree[JsonNode](table.storage.properties.asJava))
    table.bucketSpec.foreach { bucket =>
      val node = data.putObject("bucket").put("count", bucket.numBuckets)
      node.set[JsonNode]("columns", Host.json.valueToTree[JsonNode](bucket.bucketColumnNames.asJava))
      node.set[JsonNode]("sort", Host.json.valueToTree[JsonNode](bucket.sortColumnNames.asJava))
    }
    table.viewText.foreach(data.put("view_text", _))
    table.viewOriginalText.foreach(data.put("view_original_text", _))
    table.comment.foreach(data.put("comment", _))
    data
  }

  /** The table that a file tells of. */
  def table(data: JsonNode): CatalogTable = CatalogTable(
    identifier = TableIdentifier(data.get("name").asText, Some(data.get("database").asText)),
    tableType = data.get("type").asText match {
      case "VIEW"    => CatalogTableType.VIEW
      case "MANAGED" => CatalogTableType.MANAGED
      case _         => CatalogTableType.EXTERNAL
    },
    storage = CatalogStorageFormat.empty.copy(
      locationUri = text(data, "location").filter(_.nonEmpty).map(new URI(_)),
      properties = texts(data.path("storage_properties"))
    ),
    schema = DataType.fromJson(data.get("schema").toString).asInstanceOf[StructType],
    provider = text(data, "provider"),
    partitionColumnNames = list(data.path("partition_columns")),
    bucketSpec = Option(data.get("bucket")).map { node =>
      BucketSpec(node.get("count").asInt, list(node.path("columns")), list(node.path("sort")))
    },
    owner = data.path("owner").asText(""),
    createTime = data.path("created_ms").asLong(0),
    properties = texts(data.path("properties")),
    viewText = text(data, "view_text"),
    viewOriginalText = text(data, "view_original_text"),
    comment = text(data, "comment"),
    tracksPartitionsInCatalog = false
  )

  private def text(data: JsonNode, field: String): Option[String] = Option(data.get(field)).filterNot(_.isNull).map(_.asText)
  private def list(node: JsonNode): Seq[String] = node.asScala.map(_.asText).toSeq
  private def texts(node: JsonNode): Map[String, String] =
    node.properties.asScala.map(entry => entry.getKey -> entry.getValue.asText).toMap
}
