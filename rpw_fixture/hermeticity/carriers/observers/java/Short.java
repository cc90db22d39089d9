package rpwfixture.observer;

import java.util.ArrayList;
import java.util.List;

/** Short forms of values, made without running any code of the tool. */
final class Short {
  private static final int LONGEST = 80;
  private static final int LONGEST_ITEM = 30;
  private static final int ITEMS = 4;

  private Short() {}

  static String cut(String text, int longest) {
    return text.length() <= longest ? text : text.substring(0, longest - 1) + "\u2026";
  }

  /** One value: texts and numbers in full, other objects by their class. */
  static String item(Object value) {
    if (value == null) {
      return "null";
    }
    if (value instanceof String) {
      return cut('"' + (String) value + '"', LONGEST_ITEM);
    }
    if (Values.isPlain(value) || value instanceof java.util.Locale) {
      return cut(String.valueOf(value), LONGEST_ITEM);
    }
    if (value instanceof Enum) {
      return ((Enum<?>) value).name();
    }
    if (value.getClass().isArray()) {
      String name = value.getClass().getComponentType().getSimpleName();
      return name + "[" + java.lang.reflect.Array.getLength(value) + "]";
    }
    return simpleName(value.getClass());
  }

  static String simpleName(Class<?> type) {
    String name = type.getName();
    return name.substring(Math.max(name.lastIndexOf('.'), name.lastIndexOf('$')) + 1);
  }

  /** A field's value: the content of the JDK's containers, one level deep. */
  static String value(Object value) {
    if (value instanceof String) {
      return cut('"' + (String) value + '"', LONGEST);
    }
    Copy copy = value == null ? null : Copy.of(value);
    return copy != null && copy.hasContent() ? content(copy) : item(value);
  }

  static String content(Copy copy) {
    if (copy.kind == Copy.Kind.TEXT || copy.kind == Copy.Kind.VALUE) {
      return value(copy.content[0]);
    }
    List<String> shown = new ArrayList<>();
    int step = copy.kind == Copy.Kind.MAP ? 2 : 1;
    for (int at = 0; at < copy.content.length && shown.size() < ITEMS; at += step) {
      String first = item(copy.content[at]);
      shown.add(step == 1 ? first : first + "=" + item(copy.content[at + 1]));
    }
    String more = copy.size > ITEMS ? ", \u2026 " + copy.size + " in all" : "";
    String ends = copy.kind == Copy.Kind.MAP ? "{}" : "[]";
    return cut(ends.charAt(0) + String.join(", ", shown) + more + ends.charAt(1), LONGEST);
  }
}
