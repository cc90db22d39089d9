// Two runs, or two checks, compared: what changed.

import { badge, h, missing, section, table } from "./dom.js";
import { keysByTool } from "./key_differences.js";
import { kindOf, outcomeOf, titleOf } from "./model.js";
import { percent, seconds } from "./numbers.js";

export function compare(app) {
  const { runs, checks } = app.data;
  if (runs.length < 2 && checks.length < 2) return section("Compare", missing("Give two inputs of one kind, such as events files of two builds or the JSON of two checks: report BEFORE AFTER --output FILE."));
  return h("div", { class: "grid" }, runs.length > 1 ? pair(app, runs, "run", runsCompared) : null, checks.length > 1 ? pair(app, checks, "check", checksCompared) : null);
}

// Two selectors and what they lead to.
function pair(app, list, noun, draw) {
  const body = h("div", { class: "grid wide" });
  const select = (label, chosen) => h("select", { "aria-label": label, onchange: () => show() }, list.map((each, index) => h("option", { value: index, selected: index === chosen }, each.name)));
  const [before, after] = [select(`${noun} before`, 0), select(`${noun} after`, 1)];
  const show = () => body.replaceChildren(...draw(list[before.value], list[after.value]).filter(Boolean));
  show();
  return [h("div", { class: "toolbar wide" }, h("span", {}, `Compare the ${noun}`), before, h("span", {}, "with"), after), body];
}

export function changedFigures(before, after) {
  const rows = [
    ["actions", before.summary.actions, after.summary.actions, String],
    ["failed", before.summary.failed, after.summary.failed, String],
    ["workers started", before.summary.workers, after.summary.workers, String],
    ["warm", before.summary.reuse, after.summary.reuse, percent],
    ["violations", before.violations.length, after.violations.length, String],
    ["pool keys", keyCount(before), keyCount(after), String],
    ["duration", before.end, after.end, seconds],
  ];
  return rows.map(([name, one, other, shown]) => ({ name, before: shown(one), after: shown(other), changed: shown(one) !== shown(other) }));
}

function keyCount(run) {
  return keysByTool(run).reduce((sum, each) => sum + each.keys.length, 0);
}

// Returns actions by target and mnemonic whose way of running changed, and those only one run has.
export function changedActions(before, after) {
  const name = (each) => `${titleOf(each)} ${each.mnemonic}`.trim();
  const old = new Map(before.actions.map((each) => [name(each), each]));
  const found = [];
  for (const [title, each] of new Map(after.actions.map((one) => [name(one), one]))) {
    const was = old.get(title);
    old.delete(title);
    if (!was) found.push({ title, before: "absent", after: outcomeOf(each), same: was });
    else if (outcomeOf(was) !== outcomeOf(each) || kindOf(was) !== kindOf(each)) found.push({ title, before: outcomeOf(was), after: outcomeOf(each) });
  }
  for (const [title, each] of old) found.push({ title, before: outcomeOf(each), after: "absent" });
  return found;
}

function runsCompared(before, after) {
  const figures = changedFigures(before, after);
  const actions = changedActions(before, after);
  const columns = [{ title: "", header: true }, { title: "before", number: true }, { title: "after", number: true }];
  return [
    section("Figures", table("Figures of both runs", columns, figures.map((each) => [each.name, each.before, each.changed ? h("b", {}, each.after) : each.after]))),
    section("Warm seconds by mnemonic", table("Median seconds", columns, times(before, after))),
    h("section", { class: "card wide" }, h("h3", {}, `Actions that ran in another way (${actions.length})`), actions.length ? table("Changed actions", [{ title: "action", header: true }, { title: "before" }, { title: "after" }], actions.slice(0, 200).map((each) => [h("span", { class: "wrap" }, each.title), each.before, each.after])) : missing("None."),
      actions.length > 200 ? h("p", { class: "hint" }, `and ${actions.length - 200} more`) : null),
  ];
}

function times(before, after) {
  const of = (run) => new Map(run.summary.mnemonics.map((each) => [each.mnemonic, each.kinds.warm]));
  const [old, fresh] = [of(before), of(after)];
  const shown = (one) => (one ? seconds(one.median) : "–");
  return [...new Set([...old.keys(), ...fresh.keys()])].map((name) => [name || "(no mnemonic)", shown(old.get(name)), shown(fresh.get(name))]);
}

export function changedFindings(before, after) {
  const identity = (each) => JSON.stringify([each.code, each.victim, each.polluters, each.outputs]);
  const [old, fresh] = [before, after].map((check) => new Map(check.findings.map((each) => [identity(each), each])));
  return {
    appeared: [...fresh].filter(([name]) => !old.has(name)).map(([, each]) => each),
    gone: [...old].filter(([name]) => !fresh.has(name)).map(([, each]) => each),
    stayed: [...fresh].filter(([name]) => old.has(name)).map(([, each]) => each),
  };
}

function checksCompared(before, after) {
  const changes = changedFindings(before, after);
  const list = (title, items) => section(`${title} (${items.length})`, items.length ? h("ul", { class: "plain" }, items.map((each) => h("li", {}, badge(each.severity, each.code), ` ${each.summary}`))) : missing("None."));
  return [list("New findings", changes.appeared), list("Findings that are gone", changes.gone), list("Findings that stayed", changes.stayed)];
}
