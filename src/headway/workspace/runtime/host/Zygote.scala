package headway.host

import java.io.{BufferedReader, File, InputStreamReader, OutputStream}
import java.util.concurrent.{CompletableFuture, ConcurrentHashMap}

import com.fasterxml.jackson.databind.JsonNode
import com.fasterxml.jackson.databind.node.ObjectNode

/** The Python process that Python runs are forked from. It ends with this JVM: its standard input closes.
  *
  * One JSON object a line: `{"op": "run" | "cancel", "run": id, …}` to it, `{"run": id, "status": exit}` back.
  */
final class Zygote(command: java.util.List[String], errors: File) {
  private val process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.appendTo(errors)).start()
  private val input: OutputStream = process.getOutputStream
  private val waiting = new ConcurrentHashMap[String, CompletableFuture[Int]]()

  private val reader = new Thread(
    Run.root,
    () => {
      val lines = new BufferedReader(new InputStreamReader(process.getInputStream, "UTF-8"))
      Iterator.continually(lines.readLine()).takeWhile(_ != null).foreach { line =>
        val answer = Host.json.readTree(line)
        Option(waiting.remove(answer.get("run").asText)).foreach(_.complete(answer.get("status").asInt))
      }
      waiting.values.forEach(_.completeExceptionally(new IllegalStateException("the driver's Python process has ended")))
    },
    "zygote"
  )
  reader.setDaemon(true)
  reader.start()

  /** Fork a run; return its exit status when it has ended. */
  def run(id: String, request: ObjectNode): Int = {
    val ended = new CompletableFuture[Int]()
    waiting.put(id, ended)
    if (!process.isAlive) throw new IllegalStateException("the driver's Python process has ended")
    send(request)
    ended.get()
  }

  def cancel(id: String): Unit = if (waiting.containsKey(id)) send(Host.json.createObjectNode().put("op", "cancel").put("run", id))

  private def send(message: JsonNode): Unit = input.synchronized {
    input.write((Host.json.writeValueAsString(message) + "\n").getBytes("UTF-8"))
    input.flush()
  }
}
