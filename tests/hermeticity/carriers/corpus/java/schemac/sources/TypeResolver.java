import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** Knows the types that imports define, in lines such as {@code type Money decimal}. */
final class TypeResolver {
  private final Map<String, String> imported = new HashMap<>();

  void addImport(Path file) throws IOException {
    for (String line : Files.readAllLines(file)) {
      String[] words = line.split(" ");
      if (words[0].equals("type")) {
        imported.put(words[1], words[2]);
      }
    }
  }

  /** The basic type, or the name itself, which then is a type of another file. */
  String resolve(String name) {
    return imported.getOrDefault(name, name);
  }
}
