package headway.host

import java.io.{File, IOException}
import java.net.URI

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{DelegateToFileSystem, FileStatus, Path, RawLocalFileSystem}

/** `dbfs:/…` as the files of one local folder, `headway.dbfs.root`: the folder behind the DBFS API. `dbfs:/Volumes/…` are
  * those of another one, `headway.volumes.root`.
  */
class DbfsFileSystem extends RawLocalFileSystem {
  private var root: File = _
  private var volumes: File = _

  override def getScheme: String = DbfsFileSystem.Scheme
  override def getUri: URI = DbfsFileSystem.Uri
  override protected def getInitialWorkingDirectory: Path = new Path(DbfsFileSystem.Uri)
  override def getHomeDirectory: Path = new Path(DbfsFileSystem.Uri)

  override def initialize(uri: URI, configuration: Configuration): Unit = {
    val folder = configuration.get(DbfsFileSystem.Root)
    if (folder == null) throw new IOException(s"${DbfsFileSystem.Root} is not set")
    root = new File(folder).getCanonicalFile
    volumes = new File(configuration.get(DbfsFileSystem.Volumes, new File(root, "Volumes").getPath)).getCanonicalFile
    super.initialize(DbfsFileSystem.Uri, configuration)
  }

  /** The local file of a path; refused where it would lie outside the root. */
  override def pathToFile(path: Path): File = {
    val absolute = if (path.isAbsolute) path else new Path(getWorkingDirectory, path)
    val name = absolute.toUri.getPath
    val inVolumes = name == "/Volumes" || name.startsWith("/Volumes/")
    val base = if (inVolumes) volumes.toPath else root.toPath
    val file = base.resolve(name.stripPrefix(if (inVolumes) "/Volumes" else "").stripPrefix("/")).normalize
    if (!file.startsWith(base)) throw new IOException(s"$path is outside dbfs:/")
    file.toFile
  }

  override def getFileStatus(path: Path): FileStatus = named(super.getFileStatus(path))
  override def getFileLinkStatus(path: Path): FileStatus = getFileStatus(path)
  override def listStatus(path: Path): Array[FileStatus] = {
    val file = pathToFile(path)
    if (file.isDirectory) Option(file.list).getOrElse(Array.empty[String]).sorted.flatMap { name =>
      try Some(getFileStatus(new Path(path, new Path(null, null, name))))
      catch { case _: java.io.FileNotFoundException => None } // it was removed while we listed
    }
    else Array(getFileStatus(path))
  }

  /** The same status under its `dbfs:/` name: the local file system names it by its local path. */
  private def named(status: FileStatus): FileStatus = {
    val local = new File(status.getPath.toUri.getPath).toPath
    val name =
      if (local.startsWith(volumes.toPath)) s"/Volumes/${volumes.toPath.relativize(local)}".stripSuffix("/")
      else s"/${root.toPath.relativize(local)}"
    val path = new Path(DbfsFileSystem.Scheme, null, name)
    new FileStatus(
      status.getLen,
      status.isDirectory,
      status.getReplication,
      status.getBlockSize,
      status.getModificationTime,
      status.getAccessTime,
      null,
      null,
      null,
      path
    )
  }
}

object DbfsFileSystem {
  val Scheme = "dbfs"
  val Uri: URI = URI.create("dbfs:///")
  val Root = "headway.dbfs.root"
  val Volumes = "headway.volumes.root"
}

/** The same for Hadoop's FileContext, which streaming checkpoints use for atomic renames. */
class Dbfs(uri: URI, configuration: Configuration)
    extends DelegateToFileSystem(DbfsFileSystem.Uri, new DbfsFileSystem, configuration, DbfsFileSystem.Scheme, false)
