import java.io.File;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.codehaus.groovy.ast.ModuleNode;
import org.codehaus.groovy.ast.expr.ArgumentListExpression;
import org.codehaus.groovy.ast.expr.ClosureExpression;
import org.codehaus.groovy.ast.expr.ConstantExpression;
import org.codehaus.groovy.ast.expr.Expression;
import org.codehaus.groovy.ast.expr.MethodCallExpression;
import org.codehaus.groovy.ast.stmt.BlockStatement;
import org.codehaus.groovy.ast.stmt.ExpressionStatement;
import org.codehaus.groovy.ast.stmt.Statement;
import org.codehaus.groovy.control.CompilationUnit;
import org.codehaus.groovy.control.Phases;
import org.codehaus.groovy.control.SourceUnit;

/**
 * Reads a Jenkinsfile with the Groovy compiler, which is what Jenkins reads it with, and checks the form of a declarative
 * pipeline: one `pipeline`, an agent, stages, and in each of them steps. Prints the stages; fails with what is wrong.
 * Source: Jenkins Handbook, "Pipeline Syntax", Declarative Pipeline.
 */
public class ReadsJenkinsfile {
  static final Set<String> PIPELINE = Set.of(
      "agent", "options", "environment", "stages", "post", "parameters", "triggers", "tools", "libraries");
  static final Set<String> STAGE = Set.of(
      "agent", "options", "environment", "when", "input", "steps", "post", "tools", "parallel", "matrix", "stages");

  public static void main(String[] arguments) {
    CompilationUnit unit = new CompilationUnit();
    SourceUnit source = unit.addSource(new File(arguments[0]));
    unit.compile(Phases.CONVERSION);
    ModuleNode module = source.getAST();
    List<MethodCallExpression> top = calls(module.getStatementBlock());
    require(top.size() == 1 && name(top.get(0)).equals("pipeline"), "expected one pipeline block");
    List<MethodCallExpression> sections = within(top.get(0), PIPELINE);
    require(has(sections, "agent"), "the pipeline names no agent");
    require(has(sections, "stages"), "the pipeline has no stages");
    for (MethodCallExpression section : sections) {
      if (!name(section).equals("stages")) {
        continue;
      }
      for (MethodCallExpression stage : within(section, Set.of("stage"))) {
        List<Expression> given = ((ArgumentListExpression) stage.getArguments()).getExpressions();
        require(given.size() == 2 && given.get(0) instanceof ConstantExpression, "a stage has a title and a block");
        require(has(within(stage, STAGE), "steps"), "stage " + given.get(0).getText() + " has no steps");
        System.out.println(given.get(0).getText());
      }
    }
  }

  static List<MethodCallExpression> within(MethodCallExpression call, Set<String> known) {
    List<Expression> given = ((ArgumentListExpression) call.getArguments()).getExpressions();
    Expression last = given.get(given.size() - 1);
    require(last instanceof ClosureExpression, name(call) + " has no block");
    List<MethodCallExpression> found = calls((BlockStatement) ((ClosureExpression) last).getCode());
    for (MethodCallExpression inner : found) {
      require(known.contains(name(inner)), name(inner) + " does not belong into " + name(call));
    }
    return found;
  }

  static List<MethodCallExpression> calls(BlockStatement block) {
    List<MethodCallExpression> found = new ArrayList<>();
    for (Statement statement : block.getStatements()) {
      Expression expression = statement instanceof ExpressionStatement
          ? ((ExpressionStatement) statement).getExpression() : null;
      if (expression instanceof MethodCallExpression) {
        found.add((MethodCallExpression) expression);
      } else {
        // `agent any` is a call too; whatever else stands here is no section.
        require(false, "no section: " + statement.getText());
      }
    }
    return found;
  }

  static boolean has(List<MethodCallExpression> found, String wanted) {
    return found.stream().anyMatch(call -> name(call).equals(wanted));
  }

  static String name(MethodCallExpression call) {
    return call.getMethodAsString();
  }

  static void require(boolean good, String problem) {
    if (!good) {
      System.err.println("not a declarative pipeline: " + problem);
      System.exit(1);
    }
  }
}
