package rpwfixture.observer;

import java.io.ByteArrayOutputStream;
import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;

/** The content of one of the JDK's containers, one level deep; can be put back into the same object. */
final class Copy {
  enum Kind { NONE, ARRAY, COLLECTION, MAP, TEXT, VALUE, BYTES }

  private static final int MOST_BYTES = 1 << 20;

  final Kind kind;
  /** Items; keys and values in turn; or one value. */
  final Object[] content;
  final int size;

  private Copy(Kind kind, int size, Object... content) {
    this.kind = kind;
    this.size = size;
    this.content = content;
  }

  boolean hasContent() {
    return kind != Kind.NONE && kind != Kind.BYTES;
  }

  /** Copies what an object holds; a copy of the kind NONE for an object that is no container. */
  static Copy of(Object value) {
    if (value.getClass().isArray()) {
      return ofArray(value);
    }
    if (value instanceof Map && isIteratedByJdk(value, "entrySet")) {
      return ofMap((Map<?, ?>) value);
    }
    if (value instanceof Collection && isIteratedByJdk(value, "iterator")) {
      Object[] items = items((Collection<?>) value);
      return new Copy(Kind.COLLECTION, items.length, items);
    }
    if (value instanceof StringBuilder || value instanceof StringBuffer) {
      return new Copy(Kind.TEXT, ((CharSequence) value).length(), value.toString());
    }
    if (value instanceof ByteArrayOutputStream) {
      byte[] bytes = ((ByteArrayOutputStream) value).toByteArray();
      return new Copy(Kind.TEXT, bytes.length, new String(bytes, StandardCharsets.ISO_8859_1));
    }
    return ofValue(value);
  }

  /** Whether to look at all items runs no code of the tool. */
  private static boolean isIteratedByJdk(Object value, String method) {
    try {
      return Values.isOfJdk(value.getClass())
          || Values.isOfJdk(value.getClass().getMethod(method).getDeclaringClass());
    } catch (NoSuchMethodException | LinkageError unknown) {
      return false;
    }
  }

  private static Copy ofArray(Object array) {
    int length = Array.getLength(array);
    if (array instanceof Object[]) {
      return new Copy(Kind.ARRAY, length, ((Object[]) array).clone());
    }
    if (length > MOST_BYTES) {
      return new Copy(Kind.NONE, length);
    }
    Object copy = Array.newInstance(array.getClass().getComponentType(), length);
    System.arraycopy(array, 0, copy, 0, length);
    return new Copy(Kind.BYTES, length, copy);
  }

  private static Copy ofMap(Map<?, ?> map) {
    List<Object> pairs = new ArrayList<>();
    for (Map.Entry<?, ?> each : map.entrySet()) {
      pairs.add(each.getKey());
      pairs.add(each.getValue());
    }
    return new Copy(Kind.MAP, pairs.size() / 2, pairs.toArray());
  }

  private static Object[] items(Collection<?> collection) {
    List<Object> items = new ArrayList<>();
    for (Object each : collection) {
      items.add(each);
    }
    return items.toArray();
  }

  private static Copy ofValue(Object value) {
    if (value instanceof AtomicInteger) {
      return new Copy(Kind.VALUE, 1, ((AtomicInteger) value).get());
    }
    if (value instanceof AtomicLong) {
      return new Copy(Kind.VALUE, 1, ((AtomicLong) value).get());
    }
    if (value instanceof AtomicBoolean) {
      return new Copy(Kind.VALUE, 1, ((AtomicBoolean) value).get());
    }
    if (value instanceof AtomicReference) {
      return new Copy(Kind.VALUE, 1, ((AtomicReference<?>) value).get());
    }
    if (value instanceof Date) {
      return new Copy(Kind.VALUE, 1, ((Date) value).getTime());
    }
    if (value instanceof BitSet) {
      return new Copy(Kind.TEXT, ((BitSet) value).cardinality(), value.toString());
    }
    return new Copy(Kind.NONE, 0);
  }

  boolean isSame(Copy other) {
    if (kind != other.kind || size != other.size) {
      return false;
    }
    return kind == Kind.BYTES
        ? sameBytes(content[0], other.content[0])
        : Values.areSame(content, other.content);
  }

  private static boolean sameBytes(Object one, Object other) {
    return java.util.Arrays.deepEquals(new Object[] {one}, new Object[] {other});
  }

  /** Puts the content back into its object; returns the reason for a failure, or "". */
  @SuppressWarnings("unchecked")
  String putBack(Object value) {
    switch (kind) {
      case ARRAY:
        System.arraycopy(content, 0, value, 0, content.length);
        return "";
      case BYTES:
        System.arraycopy(content[0], 0, value, 0, size);
        return "";
      case COLLECTION:
        return refill((Collection<Object>) value);
      case MAP:
        return refill((Map<Object, Object>) value);
      case TEXT:
        return rewrite(value);
      case VALUE:
        return set(value);
      default:
        return "objects of this class cannot be put back";
    }
  }

  private String refill(Collection<Object> value) {
    value.clear();
    for (Object each : content) {
      value.add(each);
    }
    return value.size() == size ? "" : "the collection does not take its old items";
  }

  private String refill(Map<Object, Object> value) {
    value.clear();
    for (int at = 0; at < content.length; at += 2) {
      value.put(content[at], content[at + 1]);
    }
    return value.size() == size ? "" : "the map does not take its old entries";
  }

  private String rewrite(Object value) {
    String text = (String) content[0];
    if (value instanceof StringBuilder) {
      ((StringBuilder) value).setLength(0);
      ((StringBuilder) value).append(text);
    } else if (value instanceof StringBuffer) {
      ((StringBuffer) value).setLength(0);
      ((StringBuffer) value).append(text);
    } else if (value instanceof ByteArrayOutputStream) {
      byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
      ((ByteArrayOutputStream) value).reset();
      ((ByteArrayOutputStream) value).write(bytes, 0, bytes.length);
    } else {
      return "objects of this class cannot be put back";
    }
    return "";
  }

  @SuppressWarnings("unchecked")
  private String set(Object value) {
    if (value instanceof AtomicInteger) {
      ((AtomicInteger) value).set((Integer) content[0]);
    } else if (value instanceof AtomicLong) {
      ((AtomicLong) value).set((Long) content[0]);
    } else if (value instanceof AtomicBoolean) {
      ((AtomicBoolean) value).set((Boolean) content[0]);
    } else if (value instanceof AtomicReference) {
      ((AtomicReference<Object>) value).set(content[0]);
    } else {
      ((Date) value).setTime((Long) content[0]);
    }
    return "";
  }

  String unit() {
    return kind == Kind.TEXT ? "characters" : kind == Kind.BYTES ? "elements" : "entries";
  }
}
