package com.example.tablefmt;

/** How cells look; each thread that formats has a layout. */
final class Layout {
  private static final ThreadLocal<Layout> CURRENT = ThreadLocal.withInitial(Layout::new);

  int width = 8;
  String fill = " ";

  static Layout current() {
    return CURRENT.get();
  }

  String pad(String cell) {
    return cell + fill.repeat(Math.max(0, width - cell.length()));
  }
}
