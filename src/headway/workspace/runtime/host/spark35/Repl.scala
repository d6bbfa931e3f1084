package headway.host

import java.io.PrintWriter

import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.IMain

/** Scala 2.12's interpreter, with the names that 2.13's has. */
object Repl {
  def make(settings: Settings, loader: ClassLoader, out: PrintWriter): IMain = {
    val made = new IMain(settings, out) { override protected def parentClassLoader: ClassLoader = loader }
    made.initializeSynchronous()
    made
  }

  /** The statements of a text; none where it does not parse. */
  def trees(interpreter: IMain)(text: String): List[interpreter.global.Tree] =
    try interpreter.beSilentDuring(interpreter.global.newUnitParser(text).parseStats())
    catch { case _: Exception => Nil }
}
