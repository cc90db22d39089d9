package rpwfixture.observer;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** The fields of classes, made readable once. */
final class Fields {
  private static final Map<Class<?>, List<Field>> OF_OBJECTS = new HashMap<>();

  private Fields() {}

  /** Fields of an object that classes of the tool declare; none for objects of the JDK's classes. */
  static List<Field> ofObject(Class<?> type) {
    List<Field> known = OF_OBJECTS.get(type);
    if (known == null) {
      known = new ArrayList<>();
      for (Class<?> each = type; each != null && !Values.isOfJdk(each); each = each.getSuperclass()) {
        known.addAll(declared(each, false));
      }
      OF_OBJECTS.put(type, known);
    }
    return known;
  }

  static List<Field> declared(Class<?> type, boolean isStatic) {
    List<Field> found = new ArrayList<>();
    try {
      for (Field each : type.getDeclaredFields()) {
        boolean isDull = each.isSynthetic() && isStatic; // $VALUES, $assertionsDisabled
        if (Modifier.isStatic(each.getModifiers()) == isStatic && !isDull && Access.isAccessible(each, type)) {
          found.add(each);
        }
      }
    } catch (LinkageError missing) {
      // a class that names classes which are not there
    }
    return found;
  }

  static Object get(Field field, Object owner) {
    try {
      return field.get(owner);
    } catch (IllegalAccessException | LinkageError | RuntimeException closed) {
      return null;
    }
  }

  /** Sets a field; returns the reason for a failure, or "". */
  static String set(Field field, Object owner, Object value) {
    try {
      field.set(owner, value);
      return "";
    } catch (IllegalAccessException | LinkageError | RuntimeException refused) {
      return Modifier.isFinal(field.getModifiers()) ? "the field is final" : refused.toString();
    }
  }
}
