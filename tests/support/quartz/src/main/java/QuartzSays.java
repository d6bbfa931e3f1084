import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.TimeZone;
import org.quartz.CronExpression;

/** Reads lines of "expression TAB zone TAB milliseconds", prints the next time in milliseconds, "never" or "invalid". */
public final class QuartzSays {
  public static void main(String[] arguments) throws Exception {
    BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    StringBuilder said = new StringBuilder();
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      String[] asked = line.split("\t");
      String answer;
      try {
        CronExpression expression = new CronExpression(asked[0]);
        expression.setTimeZone(TimeZone.getTimeZone(asked[1]));
        Date next = expression.getNextValidTimeAfter(new Date(Long.parseLong(asked[2])));
        answer = next == null ? "never" : Long.toString(next.getTime());
      } catch (java.text.ParseException | RuntimeException refused) {
        answer = "invalid";
      }
      said.append(answer).append('\n');
    }
    System.out.print(said);
  }
}
