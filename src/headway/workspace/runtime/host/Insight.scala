package org.apache.spark.sql.headway

import scala.collection.mutable

import org.apache.spark.{ExecutorAllocationClient, ExecutorAllocationManager, SparkContext}
import org.apache.spark.sql.classic.SparkSession
import org.apache.spark.sql.execution.ui.SQLTab
import org.apache.spark.status.api.v1.ExecutorSummary
import org.apache.spark.ui.SparkUI

/** What Spark keeps for its own packages: executors and their number, and a UI that is started when somebody asks. */
object Insight {
  private var shown: Option[SparkUI] = None

  /** The executors that live, without the driver. */
  def executors(context: SparkContext): Seq[ExecutorSummary] =
    context.statusStore.executorList(activeOnly = true).filter(_.id != SparkContext.DRIVER_IDENTIFIER)

  /** Have at least and at most so many executors from now on; false where the driver does everything itself.
    *
    * Spark's allocation manager reads its bounds once; they are set in it, and its master is asked at once. Executors
    * above the upper bound are ended, idle ones first: the tasks of the others run again elsewhere, which counts as no
    * failure.
    */
  def resize(context: SparkContext, least: Int, most: Int): Boolean =
    (context.executorAllocationManager, context.schedulerBackend) match {
      case (Some(manager), client: ExecutorAllocationClient) =>
        val targets = field(manager, "numExecutorsTargetPerResourceProfileId").get(manager).asInstanceOf[mutable.Map[Int, Int]]
        manager.synchronized {
          field(manager, "minNumExecutors").setInt(manager, least)
          field(manager, "maxNumExecutors").setInt(manager, most)
          targets.keys.toSeq.foreach(profile => targets(profile) = math.max(least, math.min(most, targets(profile))))
          client.requestTotalExecutors(targets.toMap, targets.map { case (profile, _) => profile -> 0 }.toMap, Map.empty)
        }
        val surplus = executors(context).sortBy(one => (one.activeTasks, -one.id.toInt))
        val going = surplus.take(surplus.size - most).map(_.id)
        if (going.nonEmpty) client.killExecutors(going, adjustTargetNumExecutors = false, countFailures = false, force = true)
        true
      case _ => false
    }

  /** The port of this driver's UI on loopback, which lets only its supervisor in. It costs nothing until it is asked for. */
  def ui(session: SparkSession): Int = synchronized {
    shown.getOrElse {
      val context = session.sparkContext
      val conf = context.conf.clone().set("spark.ui.port", "0").set("spark.ui.killEnabled", "false")
      conf.set("spark.ui.filters", "headway.host.UiGate")
      val security = context.env.securityManager
      val made = SparkUI.create(Some(context), context.statusStore, conf, security, context.appName, "", context.startTime)
      made.setAppId(context.applicationId)
      made.bind()
      made.attachAllHandlers()
      new SQLTab(session.sharedState.statusStore, made)
      shown = Some(made)
      made
    }.boundPort
  }

  private def field(manager: ExecutorAllocationManager, name: String) = {
    val found = manager.getClass.getDeclaredFields.find(_.getName.endsWith(name)).get
    found.setAccessible(true)
    found
  }
}
