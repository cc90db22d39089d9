// Lanes: a picture of workers and time, on a canvas; the same by keyboard and in words.

import { announce, h, missing, section } from "./dom.js";
import { fitted, hit, laneWith, lanesOf, moved, neighbour, revealing, ROW, ticks, visible, zoomed } from "./lane_layout.js";
import { KINDS, outcomeOf, search, titleOf } from "./model.js";
import { counted, seconds } from "./numbers.js";

const AXIS = 22;

export function lanes(app) {
  const { run } = app;
  if (!run || (run.workers.length === 0 && run.actions.length === 0)) {
    return section("Lanes", missing(app.data.live ? "No action has reached the server yet." : "No input holds a run with workers or actions. Give an events file (serve --events FILE)."));
  }
  const picture = new Picture(app);
  app.onLive = () => picture.update();
  app.onPrint = () => picture.print();
  return picture.element;
}

class Picture {
  constructor(app) {
    this.app = app;
    this.canvas = h("canvas", { tabindex: "0", role: "application", "aria-label": "Lanes: workers downwards, time to the right", "aria-describedby": "lane-keys" });
    this.space = h("div", { class: "lane-space" }, this.canvas);
    this.frame = h("div", { class: "lane-frame" }, this.space);
    this.tip = h("div", { class: "tip", hidden: true });
    this.status = h("p", { class: "lane-status", role: "status" });
    this.input = h("input", { type: "search", placeholder: "target, mnemonic, failed, warm, worker:3 …", "aria-label": "Search actions", oninput: () => this.find(), onkeydown: (event) => event.key === "Enter" && this.nextMatch() });
    this.rebuild();
    this.element = h("section", { class: "card wide" }, this.toolbar(), this.legend(), h("div", { class: "lane-box" }, this.frame, this.tip), this.status,
      h("p", { class: "hint", id: "lane-keys" }, "Drag to move, Ctrl and wheel or + and − to zoom, 0 to see all. Arrow keys go from request to request, Enter opens the action. The list of actions has the same in words."));
    this.matches = null;
    this.selected = null;
    this.view = fitted(this.app.run);
    this.listen();
    this.preselect();
  }

  toolbar() {
    const button = (text, label, action) => h("button", { type: "button", "aria-label": label, title: label, onclick: action }, text);
    return h("div", { class: "toolbar" }, this.input,
      button("Next", "Next match", () => this.nextMatch()),
      button("+", "Zoom in", () => this.zoom(0.5)),
      button("−", "Zoom out", () => this.zoom(2)),
      button("All", "Show all", () => this.fit()));
  }

  legend() {
    const kinds = new Set(this.layout.lanes.flatMap((each) => each.slices).flatMap((each) => [each.kind, each.failed ? "failed" : each.kind]));
    const names = [...Object.entries(KINDS), ["failed", "failed"]].filter(([kind]) => kinds.has(kind) || this.app.data.live);
    return h("ul", { class: "legend" }, names.map(([kind, text]) => h("li", {}, h("i", { class: `swatch ${kind}` }), text)));
  }

  rebuild() {
    this.layout = lanesOf(this.app.run, this.app.data.recordings);
    const height = this.layout.height + AXIS;
    this.space.style.setProperty("height", `${height}px`);
    this.frame.style.setProperty("height", `min(70vh, 900px, ${height + 2}px)`);
  }

  update() {
    const wasWhole = this.view.to >= this.view.end && this.view.from <= this.view.begin;
    const action = this.selected && this.selected.action.id;
    this.rebuild();
    this.view = wasWhole ? fitted(this.app.run) : { ...this.view, end: Math.max(this.app.run.end, this.view.to) };
    this.selected = action === null ? null : this.sliceOf(action);
    if (this.input.value) this.find();
    this.draw();
  }

  listen() {
    this.frame.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.frame);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    this.canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.canvas.addEventListener("pointerdown", (event) => this.press(event));
    this.canvas.addEventListener("pointermove", (event) => this.hover(event));
    this.canvas.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("focus", () => { if (!this.selected) this.select(neighbour(this.layout, null, ""), false); });
  }

  preselect() {
    const [kind, id] = this.app.parameters;
    if (kind === "worker") {
      const lane = this.layout.lanes.find((each) => each.worker && each.worker.id === Number(id));
      if (lane) requestAnimationFrame(() => { this.frame.scrollTop = lane.top - 40; this.select(lane.slices.at(-1) || null, false); });
    } else if (kind === "action") {
      const slice = this.sliceOf(Number(id));
      if (slice) requestAnimationFrame(() => this.select(slice));
    }
  }

  sliceOf(id) {
    return this.layout.lanes.flatMap((each) => each.slices).find((each) => each.action.id === id) || null;
  }

  get gutter() { return this.width < 560 ? 76 : 150; }

  get width() { return this.frame.clientWidth || 1000; }

  get span() { return Math.max(40, this.width - this.gutter); }

  x(time) { return this.gutter + ((time - this.view.from) / (this.view.to - this.view.from)) * this.span; }

  zoom(factor, around = (this.view.from + this.view.to) / 2) {
    this.view = zoomed(this.view, factor, around);
    this.draw();
  }

  fit() {
    this.view = fitted(this.app.run);
    this.draw();
  }

  find() {
    const text = this.input.value;
    const found = search(this.app.run.actions, text);
    this.matches = text.trim() ? new Set(found) : null;
    this.status.textContent = text.trim() ? `${counted(found.length, "action")} of ${this.app.run.actions.length.toLocaleString("en")} match` : "";
    this.draw();
  }

  nextMatch() {
    const slices = this.layout.lanes.flatMap((each) => each.slices).filter((each) => !this.matches || this.matches.has(each.action));
    if (slices.length) this.select(slices[(slices.indexOf(this.selected) + 1) % slices.length]);
  }

  select(slice, reveals = true) {
    this.selected = slice;
    if (slice) {
      if (reveals) this.view = revealing(this.view, slice);
      const lane = laneWith(this.layout, slice);
      const top = lane.top + slice.slot * ROW;
      const height = this.frame.clientHeight - AXIS;
      if (top < this.frame.scrollTop) this.frame.scrollTop = Math.max(0, top - 30);
      if (top + ROW > this.frame.scrollTop + height) this.frame.scrollTop = top + 2 * ROW - height;
      const words = describe(lane, slice);
      this.status.replaceChildren(`${words} `, h("a", { href: `#action/${this.app.position}/${slice.action.id}` }, "Open the action"));
      announce(words);
    }
    this.draw();
  }

  key(event) {
    const actions = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.fit() };
    if (event.key.startsWith("Arrow")) this.select(neighbour(this.layout, this.selected, event.key));
    else if (event.key === "Enter" && this.selected) this.open(this.selected);
    else if (actions[event.key] && !event.ctrlKey) actions[event.key]();
    else return;
    event.preventDefault();
  }

  open(slice) { location.hash = `#action/${this.app.position}/${slice.action.id}`; }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left - this.gutter, y: event.clientY - box.top - AXIS + this.frame.scrollTop, inBox: event.clientY - box.top };
  }

  at(event) {
    const { x, y, inBox } = this.place(event);
    return x < 0 || inBox < AXIS ? null : hit(this.layout, this.view, this.span, x, y);
  }

  wheel(event) {
    const { x } = this.place(event);
    const time = this.view.from + (x / this.span) * (this.view.to - this.view.from);
    if (event.ctrlKey || event.metaKey) this.zoom(Math.exp(event.deltaY * 0.004), time);
    else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) this.move(event.deltaX);
    else return;
    event.preventDefault();
  }

  move(pixels) {
    this.view = moved(this.view, (pixels / this.span) * (this.view.to - this.view.from));
    this.draw();
  }

  press(event) {
    this.canvas.setPointerCapture(event.pointerId);
    let [last, distance] = [event.clientX, 0];
    const drag = (next) => {
      distance += Math.abs(next.clientX - last);
      if (distance > 3) this.move(last - next.clientX);
      last = next.clientX;
    };
    const release = (next) => {
      this.canvas.removeEventListener("pointermove", drag);
      const slice = distance <= 3 ? this.at(next) : null;
      if (slice) this.open(slice);
    };
    this.canvas.addEventListener("pointermove", drag);
    this.canvas.addEventListener("pointerup", release, { once: true });
  }

  hover(event) {
    const slice = this.at(event);
    this.tip.hidden = !slice;
    this.canvas.style.setProperty("cursor", slice ? "pointer" : "grab");
    if (!slice) return;
    this.tip.replaceChildren(h("strong", {}, titleOf(slice.action)), h("br"), describe(laneWith(this.layout, slice), slice), h("br"), slice.action.reason || "");
    const box = this.frame.getBoundingClientRect();
    const left = Math.min(event.clientX - box.left + 14, Math.max(0, box.width - this.tip.offsetWidth - 8));
    this.tip.style.setProperty("left", `${left}px`);
    this.tip.style.setProperty("top", `${event.clientY - box.top + 18}px`);
  }

  draw() {
    cancelAnimationFrame(this.waiting);
    this.waiting = requestAnimationFrame(() => this.paint(this.frame.clientHeight, this.frame.scrollTop));
  }

  print() {
    cancelAnimationFrame(this.waiting);
    this.paint(Math.min(this.layout.height + AXIS, 6000), 0);
  }

  paint(height, top) {
    if (!height || !this.canvas.isConnected) return;
    const ratio = devicePixelRatio || 1;
    const { canvas, width } = this;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.setProperty("width", `${width}px`);
    canvas.style.setProperty("height", `${height}px`);
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.pen = context;
    this.ink = colours(this.element);
    context.font = "12px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.clearRect(0, 0, width, height);
    this.paintGrid(height);
    for (const lane of this.layout.lanes) {
      const y = lane.top + AXIS - top;
      if (y + lane.height >= 0 && y <= height) this.paintLane(lane, y);
      if (lane.note && lane.noteTop + AXIS - top < height) this.paintNote(lane, lane.noteTop + AXIS - top);
    }
    this.paintAxis();
  }

  paintGrid(height) {
    this.pen.strokeStyle = this.ink.line;
    this.pen.lineWidth = 1;
    for (const time of ticks(this.view, this.span).times) {
      const x = Math.round(this.x(time)) + 0.5;
      this.pen.beginPath();
      this.pen.moveTo(x, AXIS);
      this.pen.lineTo(x, height);
      this.pen.stroke();
    }
  }

  paintAxis() {
    const { step, times } = ticks(this.view, this.span);
    this.pen.fillStyle = this.ink.card;
    this.pen.fillRect(0, 0, this.width, AXIS);
    this.pen.fillStyle = this.ink.soft;
    for (const time of times) {
      const text = tickText(time, step);
      const x = Math.min(this.x(time), this.width - this.pen.measureText(text).width - 2);
      this.pen.fillText(text, x, AXIS / 2);
    }
  }

  paintNote(lane, y) {
    this.pen.fillStyle = this.ink.soft;
    this.pen.font = "11px system-ui, sans-serif";
    this.pen.fillText(cut(this.pen, `↓ ${lane.note}`, this.width - 16), 8, y + 9);
    this.pen.font = "12px system-ui, sans-serif";
  }

  paintLane(lane, y) {
    const { pen, ink } = this;
    if (lane.worker) this.paintLife(lane, y);
    for (const slice of visible(lane, this.view.from, this.view.to)) this.paintSlice(slice, y);
    pen.clearRect(0, y, this.gutter - 4, lane.height);
    pen.fillStyle = ink.text;
    const name = this.gutter < 100 ? lane.title.replace("worker ", "w ").replace("action cache", "cache") : lane.title;
    const mnemonic = lane.worker && this.gutter > 100 ? `  ${lane.worker.mnemonic || ""}` : "";
    pen.fillText(cut(pen, name, this.gutter - 12), 8, y + lane.height / 2);
    if (mnemonic.trim()) {
      const used = pen.measureText(name).width;
      pen.fillStyle = ink.soft;
      pen.fillText(cut(pen, mnemonic, this.gutter - 16 - used), 8 + used, y + lane.height / 2);
    }
  }

  // A worker's life is a band; its end has the reason beside it where there is room.
  paintLife(lane, y) {
    const { pen, ink } = this;
    const from = Math.max(this.x(lane.worker.start), this.gutter);
    const to = Math.min(this.x(lane.worker.end ?? this.app.run.end), this.width);
    if (to <= from) return;
    pen.fillStyle = ink.band;
    pen.fillRect(from, y + 1, to - from, lane.height - 2);
    if (lane.worker.end === null || this.x(lane.worker.end) > this.width + 1) return;
    pen.fillStyle = ink.soft;
    pen.fillRect(Math.min(to, this.width - 2), y + 1, 2, lane.height - 2);
    // A word cut short says nothing: the tip and the action have it in full.
    const text = lane.worker.reason || "";
    if (pen.measureText(text).width < this.width - to - 10) pen.fillText(text, to + 6, y + lane.height / 2);
  }

  paintSlice(slice, y) {
    const { pen, ink } = this;
    const from = Math.max(this.x(slice.start), this.gutter);
    const width = Math.max(Math.min(this.x(slice.end), this.width) - from, 2);
    const top = y + PAD + slice.slot * ROW;
    pen.globalAlpha = this.matches && !this.matches.has(slice.action) ? 0.16 : 1;
    pen.fillStyle = slice.failed ? ink.failed : ink[slice.kind];
    pen.fillRect(from, top, width, ROW - 2);
    if (slice.failed && width > 6) this.hatch(from, top, width);
    if (width > 60) {
      pen.fillStyle = ink.onSlice;
      pen.fillText(cut(pen, titleOf(slice.action), width - 8), from + 4, top + ROW / 2 - 0.5);
    }
    pen.globalAlpha = 1;
    if (slice !== this.selected) return;
    pen.strokeStyle = ink.text;
    pen.lineWidth = 2;
    pen.strokeRect(from - 1, top - 1, width + 2, ROW);
  }

  // Failures have a mark besides their colour.
  hatch(x, y, width) {
    this.pen.fillStyle = this.ink.onSlice;
    this.pen.fillRect(x, y + ROW - 5, width, 1.5);
  }
}

const PAD = 3;

function colours(element) {
  const style = getComputedStyle(element);
  const named = (name) => style.getPropertyValue(`--${name}`).trim();
  const kinds = Object.fromEntries(["warm", "cold", "one-shot", "cache", "unfinished", "failed"].map((each) => [each, named(each)]));
  return { ...kinds, text: named("text"), soft: named("soft"), line: named("line"), card: named("card"), band: named("band"), onSlice: named("on-slice") };
}

function cut(pen, text, room) {
  if (room < 12) return "";
  if (pen.measureText(text).width <= room) return text;
  let length = Math.max(0, Math.floor((text.length * room) / pen.measureText(text).width) - 1);
  while (length > 0 && pen.measureText(`${text.slice(0, length)}…`).width > room) length -= 1;
  return length ? `${text.slice(0, length)}…` : "";
}

function tickText(time, step) {
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  return time >= 1 || digits === 0 ? `${time.toFixed(digits)} s` : `${(time * 1000).toFixed(Math.max(0, digits - 3))} ms`;
}

export function describe(lane, slice) {
  const request = slice.request ? `request ${slice.request.id} to worker ${slice.request.worker}` : lane.title;
  return `${titleOf(slice.action)}: ${outcomeOf(slice.action)}, ${request}, ${seconds(slice.end - slice.start)} from ${seconds(slice.start)}.`;
}
