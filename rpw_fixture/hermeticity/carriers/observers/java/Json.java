package rpwfixture.observer;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** As much of JSON as the messages need. */
final class Json {
  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  static Map<String, Object> object(Object... pairs) {
    Map<String, Object> made = new LinkedHashMap<>();
    for (int each = 0; each < pairs.length; each += 2) {
      made.put((String) pairs[each], pairs[each + 1]);
    }
    return made;
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> parse(String text) {
    Object value = new Json(text).value();
    if (!(value instanceof Map)) {
      throw new IllegalArgumentException("not an object: " + text);
    }
    return (Map<String, Object>) value;
  }

  static String text(Object value) {
    StringBuilder out = new StringBuilder();
    write(out, value);
    return out.toString();
  }

  private static void write(StringBuilder out, Object value) {
    if (value instanceof Map) {
      String separator = "{";
      for (Map.Entry<?, ?> each : ((Map<?, ?>) value).entrySet()) {
        out.append(separator);
        write(out, String.valueOf(each.getKey()));
        out.append(':');
        write(out, each.getValue());
        separator = ",";
      }
      out.append(separator.equals("{") ? "{}" : "}");
    } else if (value instanceof List) {
      String separator = "[";
      for (Object each : (List<?>) value) {
        out.append(separator);
        write(out, each);
        separator = ",";
      }
      out.append(separator.equals("[") ? "[]" : "]");
    } else if (value instanceof String) {
      quote(out, (String) value);
    } else {
      out.append(value);
    }
  }

  private static void quote(StringBuilder out, String value) {
    out.append('"');
    for (char each : value.toCharArray()) {
      if (each == '"' || each == '\\') {
        out.append('\\').append(each);
      } else if (each < ' ' || each > '~') {
        out.append(String.format("\\u%04x", (int) each));
      } else {
        out.append(each);
      }
    }
    out.append('"');
  }

  private Object value() {
    switch (next()) {
      case '{':
        return members();
      case '[':
        return items();
      case '"':
        return string();
      default:
        return word();
    }
  }

  private char next() {
    while (Character.isWhitespace(text.charAt(at))) {
      at++;
    }
    return text.charAt(at++);
  }

  private Map<String, Object> members() {
    Map<String, Object> made = new LinkedHashMap<>();
    for (char each = next(); each != '}'; each = next()) {
      if (each == '"') {
        String name = string();
        next(); // the colon
        made.put(name, value());
      }
    }
    return made;
  }

  private List<Object> items() {
    List<Object> made = new ArrayList<>();
    for (char each = next(); each != ']'; each = next()) {
      if (each != ',') {
        at--;
        made.add(value());
      }
    }
    return made;
  }

  private String string() {
    StringBuilder made = new StringBuilder();
    for (char each = text.charAt(at++); each != '"'; each = text.charAt(at++)) {
      made.append(each == '\\' ? escape() : each);
    }
    return made.toString();
  }

  private char escape() {
    char each = text.charAt(at++);
    if (each == 'u') {
      at += 4;
      return (char) Integer.parseInt(text.substring(at - 4, at), 16);
    }
    int known = "bfnrt".indexOf(each);
    return known < 0 ? each : "\b\f\n\r\t".charAt(known);
  }

  private Object word() {
    int start = at - 1;
    while (at < text.length() && ",]} ".indexOf(text.charAt(at)) < 0) {
      at++;
    }
    String word = text.substring(start, at);
    return word.equals("null") ? null : word;
  }
}
