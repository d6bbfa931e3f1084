package headway.host

import java.util.concurrent.{ConcurrentHashMap, TimeUnit, TimeoutException}

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode

/** Contexts: Python runs of kind `repl` that stay and execute commands, one at a time each. */
final class Contexts(tasks: Tasks, zygote: Zygote) {
  private val locks = new ConcurrentHashMap[String, Object]()

  /** The request of a Python run → `{}` when it takes commands, else `{"error"}`. */
  def create(request: JsonNode): ObjectNode = {
    val id = request.get("run").asText
    val ready = zygote.expect(id)
    locks.put(id, new Object)
    val thread = new Thread(
      Run.root,
      () => {
        val outcome = tasks.python(request)
        locks.remove(id)
        zygote.lost(id, Option(outcome.get("error").asText).filter(_.nonEmpty).getOrElse("the context has ended"))
      },
      "context-" + id
    )
    thread.setDaemon(true)
    thread.start()
    answer(ready.get())
  }

  /** `{"run", "language", "code"}` → what the context tells; `{"lost"}` where it is no more. */
  def execute(request: JsonNode): ObjectNode = {
    val id = request.get("run").asText
    val lock = locks.get(id)
    if (lock == null) Host.json.createObjectNode().put("lost", "there is no such context")
    else lock.synchronized {
      val message = Host.json.createObjectNode().put("op", "command").put("run", id)
      message.put("language", request.get("language").asText).put("code", request.get("code").asText)
      answer(zygote.command(id, message).get())
    }
  }

  /** End the present command; where it does not let itself be ended, the whole context. */
  def interrupt(id: String): Unit = Option(Run.active.get(id)).foreach { run =>
    zygote.expected(id).foreach { reply =>
      run.interrupt()
      zygote.interrupt(id)
      val patience = new Thread(
        Run.root,
        () =>
          try { reply.get(Contexts.PatienceSeconds, TimeUnit.SECONDS); () }
          catch { case _: TimeoutException => tasks.cancel(id) },
        "interrupt-" + id
      )
      patience.setDaemon(true)
      patience.start()
    }
  }

  private def answer(reply: JsonNode): ObjectNode = reply.deepCopy[ObjectNode]()
}

object Contexts {
  val PatienceSeconds = 10L
}
