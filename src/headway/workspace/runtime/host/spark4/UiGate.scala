package headway.host

import java.nio.charset.StandardCharsets.UTF_8
import java.security.MessageDigest

import jakarta.servlet.{Filter, FilterChain, FilterConfig, ServletRequest, ServletResponse}
import jakarta.servlet.http.{HttpServletRequest, HttpServletResponse}

/** Lets only the workspace into a Spark UI: who else is on the machine does not know the secret. */
final class UiGate extends Filter {
  private lazy val secret = sys.env.getOrElse(UiGate.Variable, Host.secret).getBytes(UTF_8)

  override def init(config: FilterConfig): Unit = ()
  override def destroy(): Unit = ()
  override def doFilter(request: ServletRequest, response: ServletResponse, chain: FilterChain): Unit = {
    val offered = Option(request.asInstanceOf[HttpServletRequest].getHeader(UiGate.Header)).getOrElse("")
    if (MessageDigest.isEqual(offered.getBytes(UTF_8), secret)) chain.doFilter(request, response)
    else response.asInstanceOf[HttpServletResponse].sendError(HttpServletResponse.SC_FORBIDDEN, "only through the workspace")
  }
}

object UiGate {
  val Header = "X-Headway-Secret"
  val Variable = "HEADWAY_UI_SECRET"
}
