package org.apache.spark.sql.headway

import java.nio.file.Path

import org.apache.spark.JobArtifactState
import org.apache.spark.sql.classic.SparkSession

/** What Spark keeps for its own packages: run code with a session's own class loader, and let go of what it loaded. */
object SessionScope {
  def within[T](session: SparkSession)(body: => T): T = session.artifactManager.withResources(body)
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
