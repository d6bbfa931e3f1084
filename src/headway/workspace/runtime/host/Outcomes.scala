package headway.host

import java.util.concurrent.{CompletableFuture, ConcurrentHashMap, ConcurrentLinkedQueue}

import com.fasterxml.jackson.databind.node.ObjectNode

/** Runs go on without the one who asked for them, and what came of the last ones is kept: a supervisor that takes this
  * driver over from one that was killed can ask for it, and no run is begun twice.
  */
object Outcomes {
  private val Kept = 200
  private val known = new ConcurrentHashMap[String, CompletableFuture[ObjectNode]]()
  private val ended = new ConcurrentLinkedQueue[String]()

  /** Begin a run in a thread of its own. */
  def start(id: String)(body: => ObjectNode): Unit = {
    val outcome = new CompletableFuture[ObjectNode]()
    if (known.putIfAbsent(id, outcome) != null) throw new IllegalStateException(s"run $id has been started before")
    val thread = new Thread(
      Run.root,
      () => {
        outcome.complete(body)
        ended.add(id)
        if (ended.size > Kept) known.remove(ended.poll())
      },
      "task-" + id
    )
    thread.setDaemon(true)
    thread.start()
  }

  /** Wait for a run's end: its outcome, `{"unknown": true}` for one that was never started. */
  def await(id: String): ObjectNode = known.get(id) match {
    case null => Host.json.createObjectNode().put("unknown", true)
    case outcome => outcome.get()
  }
}
