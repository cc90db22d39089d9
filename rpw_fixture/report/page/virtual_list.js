// A table of many rows of which only those exist that can be seen.

import { h } from "./dom.js";

const HEIGHT = 34;
const SPARE = 8;
const PRINTED = 300;

// Returns the first and the last row to draw.
export function shownRange(scrollTop, height, count) {
  const first = Math.max(0, Math.floor(scrollTop / HEIGHT) - SPARE);
  const last = Math.min(count, Math.ceil((scrollTop + height) / HEIGHT) + SPARE);
  return { first, last };
}

// columns: [{ title, class, cell: (row) => Node or text }]. Returns { element, show(rows), focus(index) }.
export function virtualTable(label, columns) {
  const head = h("div", { role: "row", class: "vrow vhead", "aria-rowindex": "1" }, columns.map((each) => h("div", { role: "columnheader", class: each.class }, each.header || each.title)));
  const space = h("div", { role: "rowgroup", class: "vspace" });
  const body = h("div", { class: "vbody", role: "presentation" }, h("div", { role: "rowgroup", class: "vtop" }, head), space);
  const element = h("div", { role: "table", "aria-label": label, class: "vtable" }, body);
  let rows = [];

  const draw = (range) => {
    space.replaceChildren(...rows.slice(range.first, range.last).map((row, index) => rowOf(row, range.first + index)));
  };
  const rowOf = (row, index) =>
    h("div", { role: "row", class: `vrow ${index % 2 ? "odd" : "even"}`, "aria-rowindex": index + 2, "data-index": index, style: { top: `${index * HEIGHT}px` } },
      columns.map((each) => h("div", { role: "cell", class: each.class }, each.cell(row))));
  const redraw = () => draw(shownRange(body.scrollTop, body.clientHeight || 600, rows.length));
  const focus = (index) => {
    body.scrollTop = Math.max(0, Math.min(index * HEIGHT - body.clientHeight / 2, rows.length * HEIGHT));
    redraw();
    const link = space.querySelector(`[data-index="${index}"] a`);
    if (link) link.focus({ preventScroll: true });
  };
  body.addEventListener("scroll", redraw, { passive: true });
  body.addEventListener("keydown", (event) => {
    const current = event.target.closest("[data-index]");
    const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 12, PageUp: -12 }[event.key];
    if (!current || !step) return;
    event.preventDefault();
    focus(Math.min(Math.max(Number(current.dataset.index) + step, 0), rows.length - 1));
  });
  new ResizeObserver(redraw).observe(body);
  return {
    element,
    show(found) {
      rows = found;
      element.setAttribute("aria-rowcount", rows.length + 1);
      space.style.setProperty("height", `${Math.max(rows.length, 1) * HEIGHT}px`);
      redraw();
    },
    print() {
      draw({ first: 0, last: Math.min(PRINTED, rows.length) });
      return Math.max(0, rows.length - PRINTED);
    },
    redraw,
  };
}
