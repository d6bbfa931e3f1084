package headway.host

import java.io.File
import java.lang.reflect.{InvocationHandler, InvocationTargetException, Method, Proxy}
import java.net.URLDecoder
import java.nio.charset.StandardCharsets.UTF_8

import org.apache.spark.sql.SparkSessionExtensions
import org.apache.spark.sql.catalyst.TableIdentifier
import org.apache.spark.sql.catalyst.analysis._
import org.apache.spark.sql.catalyst.parser.ParserInterface
import org.apache.spark.sql.catalyst.plans.logical.{InsertIntoStatement, LogicalPlan}

/** Names with a catalog in front, as Databricks has them: `main.sales.orders` is the table `sales.orders` of Spark's own
  * catalog, `dev.sales.orders` that of its database `dev__sales`. Done where names are read, by a parser around Spark's.
  */
final class Catalogs extends (SparkSessionExtensions => Unit) {
  override def apply(extensions: SparkSessionExtensions): Unit =
    extensions.injectParser { (_, spark) =>
      // A proxy, since what a parser must offer differs between versions of Spark.
      Proxy
        .newProxyInstance(spark.getClass.getClassLoader, Array(classOf[ParserInterface]), new Catalogs.Reading(spark))
        .asInstanceOf[ParserInterface]
    }
}

object Catalogs {
  val Main = "main"
  private val Own = "spark_catalog"
  @volatile private var folder: Option[File] = None
  private val UseCatalog = "(?is)^\\s*(?:USE|SET)\\s+CATALOG\\s+[`'\"]?(\\w+)[`'\"]?\\s*;?\\s*$".r

  /** Where the catalogs' files are. */
  def in(root: File): Unit = folder = Some(new File(root, "catalogs"))

  private def others: Set[String] =
    folder.flatMap(place => Option(place.list)).toSeq.flatten
      .filter(_.endsWith(".json"))
      .map(name => URLDecoder.decode(name.stripSuffix(".json").replace("+", "%2B"), UTF_8))
      .toSet - Main

  /** A name of three parts or more as Spark knows it. */
  def renamed(parts: Seq[String]): Seq[String] = parts match {
    case Seq(catalog, rest @ _*) if catalog.equalsIgnoreCase(Main) && rest.size >= 2 => Own +: rest
    case Seq(catalog, schema, rest @ _*) if rest.nonEmpty && others.contains(catalog.toLowerCase) =>
      Seq(Own, s"${catalog.toLowerCase}__$schema") ++ rest
    case _ => parts
  }

  /** The same for a schema's name. */
  private def namespace(parts: Seq[String]): Seq[String] = parts match {
    case Seq(catalog) if catalog.equalsIgnoreCase(Main) => Seq(Own)
    case Seq(catalog, schema) if catalog.equalsIgnoreCase(Main) => Seq(Own, schema)
    case Seq(catalog, schema) if others.contains(catalog.toLowerCase) => Seq(Own, s"${catalog.toLowerCase}__$schema")
    case _ => parts
  }

  private def rewritten(plan: LogicalPlan): LogicalPlan = plan.transformDownWithSubqueries {
    case node: UnresolvedRelation    => node.copy(multipartIdentifier = renamed(node.multipartIdentifier))
    case node: UnresolvedTable       => node.copy(multipartIdentifier = renamed(node.multipartIdentifier))
    case node: UnresolvedView        => node.copy(multipartIdentifier = renamed(node.multipartIdentifier))
    case node: UnresolvedTableOrView => node.copy(multipartIdentifier = renamed(node.multipartIdentifier))
    case node: UnresolvedIdentifier  => node.copy(nameParts = renamed(node.nameParts))
    case node: UnresolvedNamespace   => node.copy(multipartIdentifier = namespace(node.multipartIdentifier))
    case node: InsertIntoStatement   => node.copy(table = rewritten(node.table))
  }.transformAllExpressionsWithSubqueries {
    case column: UnresolvedAttribute if column.nameParts.size >= 4 => column.copy(nameParts = renamed(column.nameParts))
  }

  private def withCatalog(text: String): String = text match {
    case UseCatalog(catalog) => s"SET CATALOG ${if (catalog.equalsIgnoreCase(Main)) Own else catalog}"
    case other               => other
  }

  private final class Reading(spark: ParserInterface) extends InvocationHandler {
    override def invoke(proxy: AnyRef, method: Method, arguments: Array[AnyRef]): AnyRef = {
      val given = Option(arguments).getOrElse(Array.empty[AnyRef])
      if (method.getName.startsWith("parsePlan"))
        given.headOption.foreach { case text: String => given(0) = withCatalog(text) }
      val read =
        try method.invoke(spark, given: _*)
        catch { case thrown: InvocationTargetException => throw thrown.getTargetException }
      read match {
        case plan: LogicalPlan => rewritten(plan)
        case parts: Seq[_] if method.getName == "parseMultipartIdentifier" => renamed(parts.asInstanceOf[Seq[String]])
        case TableIdentifier(table, Some(database), Some(catalog)) =>
          val Seq(own, schema, name) = renamed(Seq(catalog, database, table))
          TableIdentifier(name, Some(schema), Some(own))
        case name: Product if name.productPrefix == "TemporalIdentifier" => // not in every version of Spark
          val parts = renamed(name.productElement(0).asInstanceOf[Seq[String]])
          val values = (parts +: name.productIterator.drop(1).toSeq).map(_.asInstanceOf[AnyRef])
          name.getClass.getConstructors.head.newInstance(values: _*).asInstanceOf[AnyRef]
        case other => other
      }
    }
  }
}
