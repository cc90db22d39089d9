// Keys: pool keys of one tool side by side, the parts that differ marked.

import { badge, h, missing, section, scroller } from "./dom.js";
import { comparison, keysByTool, short } from "./key_differences.js";
import { counted } from "./numbers.js";

export function keys(app) {
  const tools = app.run ? keysByTool(app.run) : [];
  if (tools.length === 0) return section("Keys", missing("No worker was started, so there are no pool keys to compare."));
  const isWhole = app.data.recordings.length > 0 || app.run.workers.every((each) => each.parts && each.parts.persistentWorkerKey);
  return h("div", { class: "grid" }, tools.map((tool) => toolCard(app, tool)),
    isWhole ? null : h("p", { class: "hint wide" }, "This log, of an older version, has only start-up arguments and tool inputs of each key. Environment, protocol and persistentWorkerKey are in a recording: serve --record DIR, then give DIR to report too."));
}

function toolCard(app, tool) {
  const rows = comparison(app.run, tool.keys, app.data.recordings);
  const differing = rows.filter((each) => each.differs);
  const same = rows.length - differing.length;
  const body = h("div", {});
  const draw = (all) => {
    if (all) app.opened.add(tool.name);
    else app.opened.delete(tool.name);
    const shown = all ? rows : differing;
    body.replaceChildren(...(shown.length ? [gridOf(tool, shown)] : []));
  };
  const toggle = h("input", { type: "checkbox", checked: app.opened.has(tool.name), onchange: (event) => draw(event.target.checked) });
  draw(app.opened.has(tool.name));
  return h("section", { class: "card wide" }, h("h3", { class: "wrap" }, `${tool.name}: ${counted(tool.keys.length, "key")}`),
    tool.keys.length === 1 ? h("p", {}, tool.keys[0].workers.length === 1 ? "It had one worker." : `All of its ${tool.keys[0].workers.length} workers had the same key.`) : h("p", {}, differing.length ? `They differ in ${differing.map((each) => each.name).slice(0, 6).join(", ")}${differing.length > 6 ? ` and ${differing.length - 6} more parts` : ""}.` : "They differ in a part that is not in the log.", byServer(app, tool)),
    h("label", { class: "check" }, toggle, ` show ${counted(same, "part")} that ${same === 1 ? "is" : "are"} the same`), body);
}

// What the server itself said when no living worker fitted.
function byServer(app, tool) {
  const known = new Set(tool.keys.map((each) => each.key));
  const texts = new Set(app.run.actions.filter((each) => each.closest && known.has(each.key)).flatMap((each) => each.closest.differences));
  return texts.size ? [h("br"), "As the server saw it when it looked for a worker:", h("ul", {}, [...texts].slice(0, 8).map((each) => h("li", { class: "wrap" }, each)))] : null;
}

function gridOf(tool, rows) {
  const head = h("tr", {}, h("th", { scope: "col" }, "part"), tool.keys.map((each) => h("th", { scope: "col" }, h("code", { title: each.key }, short(each.key)), h("br"), h("small", {}, workersText(each.workers)))));
  const body = rows.map((row) => h("tr", { class: row.differs ? "differs" : null }, h("th", { scope: "row" }, row.name, row.differs ? [" ", badge("warning", "differs")] : null),
    row.values.map((value, index) => h("td", { class: row.differs && value !== row.values[0] ? "mark" : null, title: value ?? "absent" }, h("code", { class: short(value).length < 34 ? "whole" : null }, short(value)), row.differs && value !== row.values[0] && index > 0 ? h("span", { class: "unseen" }, " (other than the first)") : null))));
  return scroller(`Keys of ${tool.name}`, h("table", { class: "keys" }, h("thead", {}, head), h("tbody", {}, body)));
}

function workersText(numbers) {
  return numbers.length > 4 ? counted(numbers.length, "worker") : `${numbers.length === 1 ? "worker" : "workers"} ${numbers.join(", ")}`;
}
