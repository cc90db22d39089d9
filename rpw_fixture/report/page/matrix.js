// Matrix: which code was checked with which action, and with what result.

import { h, missing, section, scroller } from "./dom.js";

const SIGNS = { passed: "✓", failed: "✗", accepted: "○", polluter: "→", skipped: "?", "not-applicable": "–", "": "" };
const WORDS = { passed: "passed", failed: "failed", accepted: "failed, accepted by the baseline", polluter: "polluted another action", skipped: "not checked", "not-applicable": "not applicable", "": "no result of its own" };

export function matrix(app) {
  if (app.data.checks.length === 0) return section("Matrix", missing("No input holds the result of a check. Give the JSON of check."));
  return h("div", { class: "grid" },
    h("ul", { class: "legend wide" }, Object.keys(WORDS).filter(Boolean).map((each) => h("li", {}, h("b", { class: `cell ${each}` }, SIGNS[each]), ` ${WORDS[each]}`))), app.data.checks.map(oneCheck));
}

export function actionsOf(check) {
  const named = [...check.findings, ...(check.accepted || [])].flatMap((each) => [each.victim, ...each.polluters]).filter(Boolean);
  return [...new Set([...(check.action_names || []), ...named])];
}

// Returns the state of a code for an action: of its own finding, else of the code.
export function stateOf(check, state, name) {
  const about = (list, wanted) => list.some((each) => each.code === state.code && wanted(each));
  if (about(check.findings, (each) => each.victim === name)) return "failed";
  if (about(check.accepted || [], (each) => each.victim === name)) return "accepted";
  if (about(check.findings, (each) => each.polluters.includes(name))) return "polluter";
  if (state.status === "skipped") return ofCode(state);
  if (state.status === "passed") return "passed";
  return about(check.findings, (each) => !each.victim) ? "" : "passed";
}

// Returns the state of a code: whether a skipped one would apply is told apart.
export function ofCode(state) {
  return state.status === "skipped" && state.applicable === false ? "not-applicable" : state.status;
}

function oneCheck(check) {
  const names = actionsOf(check);
  const rest = check.actions - names.length;
  const head = h("tr", {}, h("th", { scope: "col" }, "code"), h("th", { scope: "col", class: "tilted" }, h("span", {}, "all")), names.map((each) => h("th", { scope: "col", class: "tilted", title: each }, h("span", {}, each))));
  const cell = (state, text) => h("td", { class: `cell ${state}`, title: text }, SIGNS[state], h("span", { class: "unseen" }, ` ${WORDS[state]}`));
  const body = check.checks.map((each) => h("tr", {}, h("th", { scope: "row" }, h("b", {}, each.code), ` ${each.name}`, each.reason ? h("small", { class: "remark" }, each.reason) : null), cell(ofCode(each), each.reason || WORDS[ofCode(each)]),
    names.map((name) => cell(stateOf(check, each, name), `${each.code} with ${name}`))));
  return h("section", { class: "card wide" }, h("h3", {}, check.name), scroller(`Matrix of ${check.name}`, h("table", { class: "matrix" }, h("thead", {}, head), h("tbody", {}, body))),
    rest > 0 ? h("p", { class: "hint" }, `${rest} more actions have no finding; the JSON of check does not name them.`) : null);
}
