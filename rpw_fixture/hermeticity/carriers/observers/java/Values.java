package rpwfixture.observer;

/** Which values are compared by what they are, and which by which object they are. */
final class Values {
  private Values() {}

  static boolean isPlain(Object value) {
    return value instanceof String
        || value instanceof Boolean
        || value instanceof Character
        || (value instanceof Number && isOfJdk(value.getClass())
            && !(value instanceof java.util.concurrent.atomic.AtomicInteger)
            && !(value instanceof java.util.concurrent.atomic.AtomicLong)
            && !value.getClass().getName().startsWith("java.util.concurrent.atomic."));
  }

  static boolean isSame(Object one, Object other) {
    return one == other
        || (one != null && other != null && one.getClass() == other.getClass()
            && isPlain(one) && one.equals(other));
  }

  static boolean areSame(Object[] one, Object[] other) {
    if (one.length != other.length) {
      return false;
    }
    for (int at = 0; at < one.length; at++) {
      if (!isSame(one[at], other[at])) {
        return false;
      }
    }
    return true;
  }

  /** Whether a class belongs to the JDK. */
  static boolean isOfJdk(Class<?> type) {
    ClassLoader loader = type.getClassLoader();
    return loader == null || loader == PLATFORM;
  }

  private static final ClassLoader PLATFORM = ClassLoader.getSystemClassLoader().getParent();
}
