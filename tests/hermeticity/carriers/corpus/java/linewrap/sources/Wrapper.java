import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;

/** Breaks a line at spaces. */
final class Wrapper {
  private static final ThreadLocal<StringBuilder> BUFFER =
      ThreadLocal.withInitial(StringBuilder::new);

  /** Patterns by the width that they are for; the oldest one goes first. */
  private static final Map<Integer, Pattern> PATTERNS =
      new LinkedHashMap<>() {
        @Override
        protected boolean removeEldestEntry(Map.Entry<Integer, Pattern> eldest) {
          return size() > 20;
        }
      };

  private Wrapper() {}

  static List<String> wrap(String line, int width) {
    Pattern tooLong =
        PATTERNS.computeIfAbsent(width, each -> Pattern.compile(".{" + (each + 1) + ",}"));
    if (!tooLong.matcher(line).matches()) {
      return List.of(line);
    }
    List<String> lines = new ArrayList<>();
    StringBuilder current = BUFFER.get();
    current.setLength(0);
    for (String word : line.split(" ")) {
      if (current.length() > 0 && current.length() + 1 + word.length() > width) {
        lines.add(current.toString());
        current.setLength(0);
      }
      current.append(current.length() > 0 ? " " : "").append(word);
    }
    lines.add(current.toString());
    return lines;
  }
}
