// The list of actions: filter, sort, open.

import { badge, h, missing, section } from "./dom.js";
import { hasFailed, kindOf, search, titleOf } from "./model.js";
import { counted, seconds } from "./numbers.js";
import { virtualTable } from "./virtual_list.js";

const ORDERS = {
  start: { title: "by start", value: (each) => each.start },
  seconds: { title: "slowest first", value: (each) => -(each.seconds ?? 0) },
  target: { title: "by target", value: (each) => titleOf(each) },
  outcome: { title: "failed first", value: (each) => (hasFailed(each) ? 0 : 1) },
};

const SHORT = { warm: "warm", cold: "fresh", "one-shot": "one-shot", cache: "cache", unfinished: "unfinished" };

export function sorted(actions, order) {
  const { value } = ORDERS[order];
  return [...actions].sort((one, other) => {
    const [left, right] = [value(one), value(other)];
    return left < right ? -1 : left > right ? 1 : one.start - other.start;
  });
}

export function actions(app) {
  if (!app.run || app.run.actions.length === 0) return section("Actions", missing(app.data.live ? "No action has reached the server yet." : "No input holds actions. Give an events file (serve --events FILE)."));
  const list = virtualTable("Actions", columnsOf(app));
  const count = h("p", { class: "hint", role: "status" });
  const filter = h("input", { type: "search", value: app.filter || "", placeholder: "target, mnemonic, failed, cold, worker:3 …", "aria-label": "Filter actions" });
  const order = h("select", { "aria-label": "Order" }, Object.entries(ORDERS).map(([name, each]) => h("option", { value: name, selected: name === app.order }, each.title)));
  const show = () => {
    [app.filter, app.order] = [filter.value, order.value];
    const found = sorted(search(app.run.actions, filter.value), order.value);
    list.show(found);
    count.textContent = found.length === app.run.actions.length ? counted(found.length, "action") : `${counted(found.length, "action")} of ${app.run.actions.length.toLocaleString("en")}`;
  };
  filter.addEventListener("input", show);
  order.addEventListener("change", show);
  app.onLive = show;
  app.onPrint = () => {
    const left = list.print();
    if (left) count.textContent = `The first ${counted(app.run.actions.length - left, "action")}; ${left.toLocaleString("en")} more are in the file.`;
  };
  show();
  return h("section", { class: "card wide" }, h("div", { class: "toolbar" }, filter, order), count, list.element);
}

function columnsOf(app) {
  return [
    { title: "target", class: "grow", cell: (each) => h("a", { href: `#action/${app.position}/${each.id}`, title: titleOf(each) }, titleOf(each)) },
    { title: "mnemonic", class: "medium hide-narrow", cell: (each) => each.mnemonic },
    { title: "outcome", class: "medium", cell: (each) => badge(hasFailed(each) ? "failed" : kindOf(each), hasFailed(each) ? "failed" : SHORT[kindOf(each)]) },
    { title: "worker", class: "small number hide-narrow", cell: (each) => (each.worker === null ? "–" : String(each.worker)) },
    { title: "start", class: "small number hide-narrow", cell: (each) => seconds(each.start) },
    { title: "seconds", class: "small number", cell: (each) => (each.end === null ? "–" : seconds(each.seconds)) },
  ];
}
