package org.apache.spark.sql.headway

import java.util.{HashSet, Map => JavaMap, Set => JavaSet}
import java.util.concurrent.{ConcurrentHashMap, ConcurrentMap}

import scala.jdk.CollectionConverters._

import org.apache.spark.SparkContext

/** Has a job get the JARs of its own run only.
  *
  * Spark gives a job that carries no artifact state (a run without JARs, or an RDD's job from a thread that a run started)
  * the JARs of every session. It would load classes of other runs, and fail where one of those ends in the meantime: its JARs
  * are not served any more (seen as `Stream '/artifacts/…' was not found`). Where Spark looks through the JARs by session,
  * it finds here what belongs to the run whose property the thread carries. A thread of no run sees all, as before: one of a
  * pool that all runs share may work for any of them.
  */
object OwnJars {
  /** `owner` is the key of a run's own JARs by the run's id; none where the run has none. */
  def only(context: SparkContext, property: String, owner: String => Option[String]): Unit = {
    val field = classOf[SparkContext].getDeclaredFields.find(_.getName.endsWith("addedJars")).get
    field.setAccessible(true)
    val seen = new Seen(() => Option(context.getLocalProperty(property)).map(owner))
    context.addedJars.foreach { case (key, jars) => seen.put(key, jars) }
    field.set(context, (seen: ConcurrentMap[String, AnyRef]).asScala)
  }

  /** By session. Only what goes through all of them is bound to the run that asks. */
  private final class Seen(asks: () => Option[Option[String]]) extends ConcurrentHashMap[String, AnyRef] {
    override def entrySet(): JavaSet[JavaMap.Entry[String, AnyRef]] = {
      val all = super.entrySet()
      asks().fold(all) { own =>
        val found = new HashSet[JavaMap.Entry[String, AnyRef]]()
        all.forEach(entry => if (entry.getKey == "default" || own.contains(entry.getKey)) found.add(entry))
        found
      }
    }
  }
}
