package headway.host

import java.time.{Instant, ZoneOffset}
import java.time.format.DateTimeFormatter
import java.util.Base64

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.functions.{col, lit, to_json}
import org.apache.spark.sql.types._

/** One SQL statement → its columns and its first rows as text, as the SQL Statement API's JSON_ARRAY has them. */
object Statements {

  /** `{"statement", "parameters": [{"name", "value", "type"}], "catalog", "schema", "row_limit"}` →
    * `{"columns": […], "rows": [[…]], "truncated"}`.
    */
  def execute(session: SparkSession, request: JsonNode): ObjectNode = {
    text(request, "catalog").foreach(session.catalog.setCurrentCatalog)
    text(request, "schema").foreach(session.catalog.setCurrentDatabase)
    val given = request.path("parameters").asScala.toSeq
    val arguments = given.map { entry =>
      val value = if (entry.path("value").isNull || entry.path("value").isMissingNode) null else entry.get("value").asText
      entry.get("name").asText -> lit(value).cast(text(entry, "type").getOrElse("STRING"))
    }.toMap
    val frame = if (arguments.isEmpty) session.sql(request.get("statement").asText) else session.sql(request.get("statement").asText, arguments)
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

  private def text(node: JsonNode, field: String): Option[String] =
    Option(node.get(field)).filterNot(_.isNull).map(_.asText).filter(_.nonEmpty)
}
