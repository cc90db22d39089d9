// Growth: what a worker holds after each request, with the fitted slope and the limit.

import { h, missing, section, svg } from "./dom.js";
import { bytes, counted, seconds, theilSen } from "./numbers.js";

const [WIDTH, HEIGHT] = [320, 120];

export function growth(app) {
  const measured = app.data.checks.filter((check) => (check.growth || []).length);
  return h("div", { class: "grid" }, measured.length ? measured.map((check) => h("section", { class: "wide" }, h("h2", {}, check.name), h("div", { class: "multiples" }, check.growth.map(card)))) : section("Growth per request", missing("No input has measurements of growth. rpw-fixture check SUITE --report FILE measures memory, descriptors, threads and files (RPW301 to RPW304), if requests are fast enough.")),
    app.run ? peaks(app) : null);
}

// Returns the corner points of a curve and of its fitted line in a box.
export function curve(values, width, height) {
  const slope = theilSen(values) ?? 0;
  const middle = values.length >> 1;
  const level = [...values].sort((one, other) => one - other)[middle] ?? 0;
  const fit = [level - slope * middle, level + slope * (values.length - 1 - middle)];
  const [low, high] = [Math.min(...values, ...fit), Math.max(...values, ...fit)];
  const span = high - low || 1;
  const x = (index) => (index / Math.max(values.length - 1, 1)) * width;
  const y = (value) => height - ((value - low) / span) * height;
  return { slope, low, high, points: values.map((each, index) => [x(index), y(each)]), line: [[0, y(fit[0])], [width, y(fit[1])]] };
}

function card(each) {
  const shown = (value) => (each.resource === "memory" ? bytes(Math.round(value)) : Number(value.toFixed(2)).toLocaleString("en"));
  const { slope, low, high, points, line } = curve(each.values, WIDTH, HEIGHT);
  const path = (list) => list.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const isOver = each.limit !== null && slope > each.limit;
  return section(`${each.resource}: ${each.action}`,
    svg("svg", { viewBox: `-4 -6 ${WIDTH + 8} ${HEIGHT + 12}`, class: `chart ${isOver ? "over" : ""}`, role: "img", "aria-label": `${each.resource} from ${shown(each.values[0])} to ${shown(each.values.at(-1))} over ${each.values.length} requests` },
      svg("polyline", { points: path(points), class: "curve" }), svg("polyline", { points: path(line), class: "fit" })),
    h("p", {}, `${shown(slope)} per request${each.limit === null ? "" : `; the limit is ${shown(each.limit)}`}. `, h("b", {}, isOver ? "Above the limit." : "Within the limit.")),
    h("p", { class: "hint" }, `From ${shown(low)} to ${shown(high)} over ${counted(each.values.length, "request")}.`));
}

function peaks(app) {
  const known = app.run.workers.filter((each) => each.peak);
  if (known.length === 0) return section("Largest memory of workers", missing("The log does not have it: no worker has ended yet, or an older version wrote the log."));
  const most = Math.max(...known.map((each) => each.peak));
  const rows = [...known].sort((one, other) => other.peak - one.peak).slice(0, 30);
  return h("section", { class: "card wide" }, h("h3", {}, "Largest memory of workers"), h("p", { class: "hint" }, "Peak resident memory, as the worker ended."), h("ul", { class: "bars" }, rows.map((each) =>
    h("li", {}, h("span", {}, h("a", { href: `#lanes/worker/${each.id}` }, `worker ${each.id}`), ` ${each.mnemonic || ""}`), h("i", { style: { width: `${(100 * each.peak) / most}%` } }), h("small", {}, `${bytes(each.peak)}, ${counted(each.requests ?? 0, "request")}, ${seconds((each.end ?? 0) - each.start)}`)))));
}
