// Growth: what a worker holds after each request, with the fitted slope and the limit.

import { badge, h, missing, section, svg } from "./dom.js";
import { bytes, counted, seconds, theilSen } from "./numbers.js";

const [WIDTH, HEIGHT] = [320, 120];

export function growth(app) {
  const measured = app.data.checks.filter((check) => (check.growth || []).length);
  return h("div", { class: "grid" }, measured.length ? measured.map((check) => [h("h2", { class: "wide" }, check.name), byAction(check.growth).map(([name, rows]) => h("section", { class: "card wide" }, h("h3", {}, name), h("div", { class: "multiples" }, rows.map(card))))]) : section("Growth per request", missing("No input has measurements of growth. rpw-fixture check SUITE --report FILE measures memory, descriptors, threads and files (RPW301 to RPW304), if requests are fast enough.")),
    app.run ? peaks(app) : null);
}

// Returns the corner points of a curve and of its fitted line in a box.
// Less than half of what the limit allows looks flat: a page of memory more is no growth.
export function curve(values, width, height, limit = 0) {
  const slope = theilSen(values) ?? 0;
  const middle = values.length >> 1;
  const level = [...values].sort((one, other) => one - other)[middle] ?? 0;
  const fit = [level - slope * middle, level + slope * (values.length - 1 - middle)];
  const [least, most] = [Math.min(...values, ...fit), Math.max(...values, ...fit)];
  const span = Math.max(most - least, ((limit ?? 0) * (values.length - 1)) / 2) || 1;
  const low = least - (span - (most - least)) / 2;
  const x = (index) => (index / Math.max(values.length - 1, 1)) * width;
  const y = (value) => height - ((value - low) / span) * height;
  return { slope, points: values.map((each, index) => [x(index), y(each)]), line: [[0, y(fit[0])], [width, y(fit[1])]] };
}

function byAction(growth) {
  const found = new Map();
  for (const each of growth) found.set(each.action, [...(found.get(each.action) || []), each]);
  return [...found];
}

function card(each) {
  const shown = (value) => (each.resource === "memory" ? bytes(Math.round(value)) : Number(value.toFixed(2)).toLocaleString("en"));
  const { slope, points, line } = curve(each.values, WIDTH, HEIGHT, each.limit);
  const path = (list) => list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const isOver = each.limit !== null && slope > each.limit;
  const [low, high] = [Math.min(...each.values), Math.max(...each.values)];
  const requests = counted(each.values.length, "request");
  return h("figure", {}, h("figcaption", {}, h("b", {}, each.resource), ` ${UNITS[each.resource] || ""}`),
    svg("svg", { viewBox: `-4 -6 ${WIDTH + 8} ${HEIGHT + 12}`, class: `chart ${isOver ? "over" : ""}`, role: "img", "aria-label": `${each.resource} from ${shown(each.values[0])} to ${shown(each.values.at(-1))} over ${each.values.length} requests` },
      svg("polyline", { points: path(points), class: "curve" }), svg("polyline", { points: path(line), class: "fit" })),
    h("p", {}, badge(isOver ? "failed" : "quiet", isOver ? "Above the limit" : "Within the limit"), ` ${shown(slope)} per request${each.limit === null ? "" : `, limit ${shown(each.limit)}`}`),
    h("p", { class: "hint" }, low === high ? `${shown(low)} after each of ${requests}` : `${shown(low)} to ${shown(high)} over ${requests}, a range of ${shown(high - low)}`));
}

const UNITS = { memory: "resident", descriptors: "open", threads: "", files: "in TMPDIR and HOME" };

function peaks(app) {
  const known = app.run.workers.filter((each) => each.peak);
  if (known.length === 0) return section("Largest memory of workers", missing("The log does not have it: no worker has ended yet, or an older version wrote the log."));
  const most = Math.max(...known.map((each) => each.peak));
  const rows = [...known].sort((one, other) => other.peak - one.peak).slice(0, 30);
  return h("section", { class: "card wide" }, h("h3", {}, "Largest memory of workers"), h("p", { class: "hint" }, "Peak resident memory, as the worker ended."), h("ul", { class: "bars" }, rows.map((each) =>
    h("li", {}, h("span", {}, h("a", { href: `#lanes/worker/${each.id}` }, `worker ${each.id}`), ` ${each.mnemonic || ""}`), h("i", { style: { width: `${(100 * each.peak) / most}%` } }), h("small", {}, `${bytes(each.peak)}, ${counted(each.requests ?? 0, "request")}, ${seconds((each.end ?? 0) - each.start)}`)))));
}
