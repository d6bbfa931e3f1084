package org.apache.spark.sql.headway

import org.apache.spark.sql.classic.SparkSession

/** What Spark keeps for its own packages: run code with a session's own class loader, and let go of what it loaded. */
object SessionScope {
  def within[T](session: SparkSession)(body: => T): T = session.artifactManager.withResources(body)
  def close(session: SparkSession): Unit = session.artifactManager.close()
}
