package org.apache.spark.sql.headway

import org.apache.spark.sql.classic.SparkSession

/** What Spark keeps for its own packages: JARs of one session, code run with their class loader, and letting go of them.
  *
  * Spark 4 has it all: a session's artifacts. `spark35/SessionScope.scala` does the same on Spark 3.5.
  */
object SessionScope {
  def add(session: SparkSession, jars: Seq[String]): Unit = jars.foreach(session.addArtifact)
  def within[T](session: SparkSession)(body: => T): T = session.artifactManager.withResources(body)
  def cancel(session: SparkSession, tag: String, why: String): Unit = session.sparkContext.cancelJobsWithTag(tag, why)
  def close(session: SparkSession): Unit = session.artifactManager.close()
}
