package headway.host

import java.io.{BufferedReader, File, InputStreamReader, OutputStream}
import java.util.concurrent.{CompletableFuture, ConcurrentHashMap}

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode

/** The Python process that Python runs are forked from. It ends with this JVM: its standard input closes.
  *
  * One JSON object a line: `{"op": "run" | "cancel", "run": id, …}` to it, `{"run": id, "status": exit, "reason"}` back. Runs that take
  * commands (`"op": "command"`) answer each with `{"run": id, "reply": {…}}`.
  */
final class Zygote(command: java.util.List[String], errors: File) {
  private val process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(errors)).start()
  private val input: OutputStream = process.getOutputStream
  private val waiting = new ConcurrentHashMap[String, CompletableFuture[JsonNode]]()
  private val replies = new ConcurrentHashMap[String, CompletableFuture[JsonNode]]()

  private val reader = new Thread(
    Run.root,
    () => {
      val lines = new BufferedReader(new InputStreamReader(process.getInputStream, "UTF-8"))
      Iterator.continually(lines.readLine()).takeWhile(_ != null).foreach { line =>
        val answer = Host.json.readTree(line)
        val id = answer.get("run").asText
        if (answer.has("reply")) Option(replies.remove(id)).foreach(_.complete(answer.get("reply")))
        else Option(waiting.remove(id)).foreach(_.complete(answer))
      }
      waiting.values.forEach(_.completeExceptionally(new IllegalStateException("the driver's Python process has ended")))
    },
    "zygote"
  )
  reader.setDaemon(true)
  reader.start()

  /** Fork a run; return `{"status", "reason"}` when it has ended. */
  def run(id: String, request: ObjectNode): JsonNode = {
    val ended = new CompletableFuture[JsonNode]()
    waiting.put(id, ended)
    if (!process.isAlive) throw new IllegalStateException("the driver's Python process has ended")
    send(request)
    ended.get()
  }

  def cancel(id: String): Unit = if (waiting.containsKey(id)) send(Host.json.createObjectNode().put("op", "cancel").put("run", id))

  /** The next reply of a run, which `lost` gives too. */
  def expect(id: String): CompletableFuture[JsonNode] = {
    val reply = new CompletableFuture[JsonNode]()
    replies.put(id, reply)
    reply
  }

  /** The reply that is awaited now. */
  def expected(id: String): Option[CompletableFuture[JsonNode]] = Option(replies.get(id))

  def command(id: String, message: ObjectNode): CompletableFuture[JsonNode] = {
    val reply = expect(id)
    if (waiting.containsKey(id)) send(message) else lost(id, "the context has ended")
    reply
  }

  /** The run gives no more replies. */
  def lost(id: String, why: String): Unit =
    Option(replies.remove(id)).foreach(_.complete(Host.json.createObjectNode().put("lost", why)))

  def interrupt(id: String): Unit = if (waiting.containsKey(id)) send(Host.json.createObjectNode().put("op", "interrupt").put("run", id))

  private def send(message: JsonNode): Unit = input.synchronized {
    input.write((Host.json.writeValueAsString(message) + "\n").getBytes("UTF-8"))
    input.flush()
  }
}
