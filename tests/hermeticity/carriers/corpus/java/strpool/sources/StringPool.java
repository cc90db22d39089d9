import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The strings of an output, each once. */
final class StringPool {
  private final Map<String, Integer> places = new HashMap<>();
  private final List<String> strings = new ArrayList<>();

  private StringPool() {}

  /** Made when it is first needed, without a lock. */
  private static final class Holder {
    static final StringPool INSTANCE = new StringPool();
  }

  static StringPool instance() {
    return Holder.INSTANCE;
  }

  int intern(String text) {
    return places.computeIfAbsent(
        text,
        unused -> {
          strings.add(text);
          return strings.size() - 1;
        });
  }

  String get(int place) {
    return strings.get(place);
  }

  int size() {
    return strings.size();
  }
}
