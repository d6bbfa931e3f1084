package headway.host

import java.time.{Instant, ZoneOffset}
import java.time.format.DateTimeFormatter
import java.util.Base64

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions.{col, lit, to_json}
import org.apache.spark.sql.types._

/** SQL statements → the last one's columns and its first rows as text, as the SQL Statement API's JSON_ARRAY has them. */
object Statements {

  /** `{"statements": […], "parameters": [{"name", "value", "type"}], "catalog", "schema", "row_limit"}` →
    * `{"columns": […], "rows": [[…]], "truncated"}`.
    */
  def execute(session: SparkSession, request: JsonNode): ObjectNode = {
    use(session, text(request, "catalog"), text(request, "schema"))
    val given = request.path("parameters").asScala.toSeq
    val arguments: Map[String, Any] = given.map { entry =>
      val value = text(entry, "value", emptyToo = true)
      entry.get("name").asText -> value.map(written => typed(session, written, text(entry, "type").getOrElse("STRING"))).orNull
    }.toMap
    def run(statement: String): DataFrame = {
      val named = arguments.filter { case (name, _) => s":$name\\b".r.findFirstIn(statement).isDefined }
      if (named.isEmpty) session.sql(statement) else session.sql(statement, named)
    }
    val frame = request.get("statements").asScala.map(_.asText).map(run).toSeq.last
    val fields = frame.schema.fields
    val answer = Host.json.createObjectNode()
    val columns = answer.putArray("columns")
    fields.foreach { field =>
      val column = columns.addObject().put("name", field.name).put("type_text", field.dataType.sql)
      column.put("type_name", typeName(field.dataType)).put("type_json", field.dataType.json)
      field.dataType match {
        case decimal: DecimalType => column.put("precision", decimal.precision).put("scale", decimal.scale)
        case _ => ()
      }
    }
    val rows = answer.putArray("rows")
    val limit = request.path("row_limit").asInt(10000)
    if (fields.isEmpty) answer.put("truncated", false)
    else {
      val named = frame.toDF(fields.indices.map(at => s"c$at"): _*)
      val simple = named.select(fields.indices.map { at =>
        fields(at).dataType match {
          case _: StructType | _: ArrayType | _: MapType => to_json(col(s"c$at"))
          case other if other.typeName == "variant" => to_json(col(s"c$at"))
          case _: DayTimeIntervalType | _: YearMonthIntervalType | CalendarIntervalType => col(s"c$at").cast("string")
          case _ => col(s"c$at")
        }
      }: _*)
      val found = simple.limit(limit + 1).collect()
      found.iterator.take(limit).foreach { row =>
        val line = rows.addArray()
        (0 until row.length).foreach(at => written(row.get(at)).fold(line.addNull())(line.add))
      }
      answer.put("truncated", found.length > limit)
    }
  }

  /** In SQL, so that the names mean what they do in statements (see Catalogs). */
  private def use(session: SparkSession, catalog: Option[String], schema: Option[String]): Unit = {
    def quoted(name: String) = s"`${name.replace("`", "``")}`"
    (catalog, schema) match {
      case (Some(named), None) if named.equalsIgnoreCase(Catalogs.Main) => session.sql("use catalog main")
      case (Some(named), inside) => session.sql(s"use ${quoted(named)}.${quoted(inside.getOrElse("default"))}")
      case (None, Some(inside)) => session.sql(s"use ${quoted(inside)}")
      case (None, None) => ()
    }
  }

  private def written(value: Any): Option[String] = value match {
    case null => None
    case bytes: Array[Byte] => Some(Base64.getEncoder.encodeToString(bytes))
    case at: java.sql.Timestamp => Some(moment(at.toInstant))
    case at: Instant => Some(moment(at))
    case number: java.math.BigDecimal => Some(number.toPlainString)
    case other => Some(other.toString)
  }

  private val Moment = DateTimeFormatter.ofPattern("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'").withZone(ZoneOffset.UTC)
  private def moment(at: Instant): String = Moment.format(at)

  private def typeName(kind: DataType): String = kind match {
    case _: StructType => "STRUCT"
    case _: ArrayType => "ARRAY"
    case _: MapType => "MAP"
    case _: DecimalType => "DECIMAL"
    case LongType => "LONG"
    case IntegerType => "INT"
    case ShortType => "SHORT"
    case ByteType => "BYTE"
    case NullType => "NULL"
    case _: StringType => "STRING"
    case _: DayTimeIntervalType | _: YearMonthIntervalType | CalendarIntervalType => "INTERVAL"
    case other => other.typeName.toUpperCase(java.util.Locale.ROOT)
  }

  /** A text as a value of a SQL type: Spark takes literals only. */
  private def typed(session: SparkSession, value: String, kind: String): Any =
    if (kind.equalsIgnoreCase("STRING")) value
    else session.sql("select 1").select(lit(value).cast(kind)).head().get(0)

  private def text(node: JsonNode, field: String, emptyToo: Boolean = false): Option[String] =
    Option(node.get(field)).filterNot(_.isNull).map(_.asText).filter(emptyToo || _.nonEmpty)
}
