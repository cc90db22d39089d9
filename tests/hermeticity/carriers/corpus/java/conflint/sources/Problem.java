import java.util.Arrays;
import java.util.Locale;
import java.util.function.Predicate;

/** What can be wrong with a line. */
enum Problem {
  NO_VALUE(line -> line.endsWith("=")),
  LOWER_CASE(line -> !line.split("=")[0].equals(line.split("=")[0].toUpperCase(Locale.ROOT))),
  SECRET(line -> line.contains("PASSWORD"));

  private final Predicate<String> test;
  private boolean enabled = true;

  Problem(Predicate<String> test) {
    this.test = test;
  }

  static Problem named(String label) {
    return Arrays.stream(values())
        .filter(each -> each.label().equals(label))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("unknown problem " + label));
  }

  String label() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }

  void disable() {
    enabled = false;
  }

  boolean isEnabled() {
    return enabled;
  }

  boolean isIn(String line) {
    return test.test(line);
  }
}
