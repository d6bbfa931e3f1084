package headway.host

import java.io.PrintWriter

import scala.tools.nsc.Settings
import scala.tools.nsc.interpreter.IMain
import scala.tools.nsc.interpreter.shell.ReplReporterImpl

/** Scala 2.13's interpreter. `spark35/Repl.scala` is that of 2.12. */
object Repl {
  def make(settings: Settings, loader: ClassLoader, out: PrintWriter): IMain = {
    val made = new IMain(settings, Some(loader), settings, new ReplReporterImpl(settings, out))
    made.initializeCompiler()
    made
  }

  /** The statements of a text; none where it does not parse. */
  def trees(interpreter: IMain)(text: String): List[interpreter.global.Tree] = interpreter.parse(text).fold(_ => Nil, _._1)
}
