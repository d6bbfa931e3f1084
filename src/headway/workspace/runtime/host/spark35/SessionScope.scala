package org.apache.spark.sql.headway

import java.io.{File, IOException}
import java.net.{URLClassLoader, URLEncoder}
import java.nio.file.Files
import java.util.{Collections, UUID, WeakHashMap}

import org.apache.spark.{JobArtifactSet, JobArtifactState, SparkContext, SparkEnv}
import org.apache.spark.sql.SparkSession
import org.apache.spark.util.{ChildFirstURLClassLoader, MutableURLClassLoader}

/** What `spark4/SessionScope.scala` takes from a session's artifacts, made of what Spark 3.5 has.
  *
  * The core of 3.5 knows jobs with artifacts of their own (its Connect server uses them): tasks of a job that carries an
  * artifact state are run by a class loader with that state's JARs only, also on executors. The driver's side of it, a
  * class loader for the run's own threads, is made here.
  */
object SessionScope {
  private val Folder = "/headway-jars"
  private val scopes = Collections.synchronizedMap(new WeakHashMap[SparkSession, Scope]())

  private final class Scope(val state: JobArtifactState, val loader: URLClassLoader, val folder: File)

  /** By what the context knows the session's JARs. */
  def key(session: SparkSession): Option[String] = Option(scopes.get(session)).map(_.state.uuid)

  /** Where the session's own classes come from; JARs are given before an interpreter asks. */
  def loader(session: SparkSession): ClassLoader = scope(session).loader

  /** Where an interpreter writes the classes that the session's tasks load. */
  def classFolder(session: SparkSession): java.nio.file.Path = new File(scope(session).folder, "classes").toPath

  /** Run code whose Spark tasks load such classes. */
  def withClasses[T](session: SparkSession)(body: => T): T = within(session)(body)

  private def scope(session: SparkSession): Scope = scopes.synchronized {
    if (!scopes.containsKey(session)) {
      val base = served(session.sparkContext)
      val id = UUID.randomUUID.toString
      val folder = new File(base._1, id)
      Files.createDirectories(new File(folder, "classes").toPath)
      val urls = Array(new File(folder, "classes").toURI.toURL)
      val loader = new MutableURLClassLoader(urls, getClass.getClassLoader)
      scopes.put(session, new Scope(JobArtifactState(id, Some(s"${base._2}/$id/classes/")), loader, folder))
    }
    scopes.get(session)
  }

  /** Give the session these JARs. Raise IOException where one is no JAR. */
  def add(session: SparkSession, jars: Seq[String]): Unit = if (jars.nonEmpty) {
    val context = session.sparkContext
    val base = served(context)
    val id = UUID.randomUUID.toString
    val state = JobArtifactState(id, Some(s"${base._2}/$id/classes/"))
    val folder = new File(base._1, id)
    Files.createDirectories(new File(folder, "classes").toPath)
    val files = jars.map(new File(_).getCanonicalFile)
    files.foreach(file => new java.util.jar.JarFile(file).close())
    val first = context.getConf.getBoolean("spark.driver.userClassPathFirst", defaultValue = false)
    val parent = getClass.getClassLoader
    val urls = (files :+ new File(folder, "classes")).map(_.toURI.toURL).toArray
    val loader = if (first) new ChildFirstURLClassLoader(urls, parent) else new MutableURLClassLoader(urls, parent)
    scopes.put(session, new Scope(state, loader, folder))
    JobArtifactSet.withActiveJobArtifactState(state) {
      files.zipWithIndex.foreach { case (file, number) =>
        val name = s"$number-${file.getName}" // two JARs of one run may have one name
        Files.createSymbolicLink(folder.toPath.resolve(name), file.toPath)
        context.addJar(s"${base._2}/${state.uuid}/${URLEncoder.encode(name, "UTF-8").replace("+", "%20")}")
      }
    }
  }

  def within[T](session: SparkSession)(body: => T): T = {
    val scope = scopes.get(session)
    if (scope == null) body
    else {
      val thread = Thread.currentThread
      val before = thread.getContextClassLoader
      thread.setContextClassLoader(scope.loader)
      try JobArtifactSet.withActiveJobArtifactState(scope.state)(body)
      finally thread.setContextClassLoader(before)
    }
  }

  /** Spark 3.5 keeps no reason. */
  def cancel(session: SparkSession, tag: String, why: String): Unit = session.sparkContext.cancelJobsWithTag(tag)

  def close(session: SparkSession): Unit = {
    val scope = scopes.remove(session)
    if (scope != null) {
      session.sparkContext.addedJars.remove(scope.state.uuid)
      scope.loader.close()
      org.apache.spark.network.util.JavaUtils.deleteRecursively(scope.folder)
    }
  }

  /** The folder of runs' JARs, and the address by which executors fetch from it. */
  private def served(context: SparkContext): (File, String) = {
    val folder = new File(System.getProperty("java.io.tmpdir"), "run-jars")
    if (!folder.isDirectory && !folder.mkdirs() && !folder.isDirectory) throw new IOException(s"cannot make $folder")
    (folder, SparkEnv.get.rpcEnv.fileServer.addDirectoryIfAbsent(Folder, folder))
  }
}
