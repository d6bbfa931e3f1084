package headway.host

import java.lang.instrument.{ClassFileTransformer, Instrumentation}
import java.security.ProtectionDomain

import org.apache.xbean.asm9._

/** The Java agent of a driver: user code in a run cannot end what it shares with other runs.
  *
  * In threads whose group is named `run-…`, `System.exit` and `Runtime.halt` end only the run (the status is kept in the
  * system property `headway.exit.<group>`, because the code may catch what is thrown), and stopping the shared Spark objects
  * does nothing. Everywhere else all of them work as ever.
  */
object Guard {
  val Prefix = "run-"
  val ExitProperty = "headway.exit."

  private val stops = Set("stop()V", "stop(I)V", "close()V", "stopInNewThread()V")
  private val guarded: Map[String, Set[String]] = Map(
    "java/lang/Runtime" -> Set("exit(I)V", "halt(I)V"),
    "org/apache/spark/SparkContext" -> stops,
    "org/apache/spark/api/java/JavaSparkContext" -> stops,
    "org/apache/spark/sql/classic/SparkSession" -> stops,
    "org/apache/spark/sql/SparkSession" -> stops // Spark 3.5's, which is the session itself
  )

  def premain(arguments: String, instrumentation: Instrumentation): Unit = {
    instrumentation.addTransformer(new Transformer, true)
    instrumentation.retransformClasses(classOf[Runtime])
  }

  private final class Transformer extends ClassFileTransformer {
    override def transform(
        loader: ClassLoader,
        name: String,
        redefined: Class[_],
        domain: ProtectionDomain,
        bytes: Array[Byte]
    ): Array[Byte] = {
      val methods = if (name == null) None else guarded.get(name)
      methods.map(rewrite(name, _, bytes)).orNull
    }
  }

  private def rewrite(name: String, methods: Set[String], bytes: Array[Byte]): Array[Byte] = {
    val reader = new ClassReader(bytes)
    val writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS)
    val ends = name == "java/lang/Runtime"
    reader.accept(
      new ClassVisitor(Opcodes.ASM9, writer) {
        override def visitMethod(
            access: Int,
            method: String,
            descriptor: String,
            signature: String,
            exceptions: Array[String]
        ): MethodVisitor = {
          val visitor = super.visitMethod(access, method, descriptor, signature, exceptions)
          if (!methods.contains(method + descriptor) || (access & Opcodes.ACC_STATIC) != 0) visitor
          else
            new MethodVisitor(Opcodes.ASM9, visitor) {
              override def visitCode(): Unit = {
                super.visitCode()
                guard(this, ends)
              }
            }
        }
      },
      0
    )
    writer.toByteArray
  }

  /** Prepends: if the thread belongs to a run, throw (exit, halt) or return (stop). Only JDK classes may be named here. */
  private def guard(code: MethodVisitor, ends: Boolean): Unit = {
    val goOn = new Label
    groupName(code)
    code.visitLdcInsn(Prefix)
    code.visitMethodInsn(Opcodes.INVOKEVIRTUAL, "java/lang/String", "startsWith", "(Ljava/lang/String;)Z", false)
    code.visitJumpInsn(Opcodes.IFEQ, goOn)
    if (ends) {
      code.visitLdcInsn(ExitProperty)
      groupName(code)
      code.visitMethodInsn(
        Opcodes.INVOKEVIRTUAL, "java/lang/String", "concat", "(Ljava/lang/String;)Ljava/lang/String;", false)
      code.visitVarInsn(Opcodes.ILOAD, 1)
      code.visitMethodInsn(Opcodes.INVOKESTATIC, "java/lang/String", "valueOf", "(I)Ljava/lang/String;", false)
      code.visitMethodInsn(
        Opcodes.INVOKESTATIC,
        "java/lang/System",
        "setProperty",
        "(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;",
        false)
      code.visitInsn(Opcodes.POP)
      code.visitTypeInsn(Opcodes.NEW, "java/lang/ThreadDeath")
      code.visitInsn(Opcodes.DUP)
      code.visitMethodInsn(Opcodes.INVOKESPECIAL, "java/lang/ThreadDeath", "<init>", "()V", false)
      code.visitInsn(Opcodes.ATHROW)
    } else code.visitInsn(Opcodes.RETURN)
    code.visitLabel(goOn)
    code.visitFrame(Opcodes.F_SAME, 0, null, 0, null)
  }

  private def groupName(code: MethodVisitor): Unit = {
    code.visitMethodInsn(Opcodes.INVOKESTATIC, "java/lang/Thread", "currentThread", "()Ljava/lang/Thread;", false)
    code.visitMethodInsn(
      Opcodes.INVOKEVIRTUAL, "java/lang/Thread", "getThreadGroup", "()Ljava/lang/ThreadGroup;", false)
    code.visitMethodInsn(Opcodes.INVOKEVIRTUAL, "java/lang/ThreadGroup", "getName", "()Ljava/lang/String;", false)
  }
}
