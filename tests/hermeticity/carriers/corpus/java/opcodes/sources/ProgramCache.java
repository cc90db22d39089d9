import java.lang.ref.SoftReference;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Translated programs by their whole text, as long as there is memory for them. */
final class ProgramCache {
  private final Map<String, SoftReference<List<String>>> known = new LinkedHashMap<>();

  List<String> translate(String text) {
    SoftReference<List<String>> reference = known.get(text);
    List<String> program = reference == null ? null : reference.get();
    if (program == null) {
      program = new ArrayList<>();
      for (String line : text.lines().toList()) {
        program.add(OpcodeTable.get().encode(line.strip()));
      }
      if (known.size() >= 30) {
        known.clear();
      }
      known.put(text, new SoftReference<>(program));
    }
    return program;
  }
}
