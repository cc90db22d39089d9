package rpwfixture.observer;

import java.util.HashMap;
import java.util.Map;

/** Where fields stand in the source, as far as the class files say. */
final class Places {
  /** Finds the place of one field. */
  interface Finder {
    String find(Class<?> type, String field) throws java.io.IOException;
  }

  private static final Map<String, String> KNOWN = new HashMap<>();

  private Places() {}

  /** Returns {@code com/acme/Compiler.java:12}, without a line where the class has none, or "". */
  static String of(Class<?> type, String field) {
    return KNOWN.computeIfAbsent(type.getName() + "." + field, each -> find(type, field));
  }

  private static String find(Class<?> type, String field) {
    try {
      Class<?> finder = Class.forName("rpwfixture.observer.LineFinder");
      java.lang.reflect.Constructor<?> made = finder.getDeclaredConstructor();
      return ((Finder) made.newInstance()).find(type, field);
    } catch (Exception | LinkageError unknown) {
      return "";
    }
  }
}
