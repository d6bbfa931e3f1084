package org.apache.spark.sql.headway

import java.nio.file.Path

import org.apache.spark.JobArtifactState
import org.apache.spark.sql.classic.SparkSession

/** What Spark keeps for its own packages: JARs of one session, code run with their class loader, and letting go of them.
  *
  * Spark 4 has it all: a session's artifacts. `spark35/SessionScope.scala` does the same on Spark 3.5.
  */
object SessionScope {
  def add(session: SparkSession, jars: Seq[String]): Unit = jars.foreach(session.addArtifact)
  def within[T](session: SparkSession)(body: => T): T = session.artifactManager.withResources(body)
  def cancel(session: SparkSession, tag: String, why: String): Unit = session.sparkContext.cancelJobsWithTag(tag, why)
  /** By what the context knows the session's JARs. */
  def key(session: SparkSession): Option[String] = Some(session.sessionUUID)
  def loader(session: SparkSession): ClassLoader = session.artifactManager.classloader

  /** Where an interpreter writes the classes that the session's tasks load. */
  def classFolder(session: SparkSession): Path = hidden[Path](session, "classDir")

  /** Run code whose Spark tasks load such classes.
    *
    * Each query asks the session's artifacts for the state that its tasks get. It is set for the time of the code only:
    * with it every session's Python workers are started anew.
    */
  def withClasses[T](session: SparkSession)(body: => T): T = {
    val manager = session.artifactManager
    val state = manager.getClass.getDeclaredField("state")
    state.setAccessible(true)
    val before = state.get(manager)
    state.set(manager, JobArtifactState(session.sessionUUID, Some(hidden[String](session, "replClassURI"))))
    try manager.withResources(body)
    finally state.set(manager, before)
  }

  def close(session: SparkSession): Unit = session.artifactManager.close()

  /** What the compiler keeps for Spark's own subclasses, though the class has it in public. */
  private def hidden[T](session: SparkSession, name: String): T =
    session.artifactManager.getClass.getMethod(name).invoke(session.artifactManager).asInstanceOf[T]
}
