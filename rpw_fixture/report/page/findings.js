// Findings: the requests that lead to each, both results side by side, what the code means, how to repeat it.

import { badge, copyable, definitions, h, missing, section, scroller } from "./dom.js";
import { difference, linesTable, others } from "./difference.js";
import { pieces, printable } from "./evidence.js";
import { watched } from "./input_tree.js";

export function findings(app) {
  if (app.data.checks.length === 0) return section("Findings", missing("No input holds the result of a check. Run rpw-fixture check SUITE --report FILE, or give the JSON of check to report."));
  return h("div", { class: "grid" }, app.data.checks.map((check) => [
    h("h2", { class: "wide" }, `${check.name}: ${check.findings.length || "no"} ${check.findings.length === 1 ? "finding" : "findings"}`),
    cards(app, check.findings, false),
    cards(app, check.accepted || [], true),
    watched(check),
  ]));
}

// Of many findings with one code, the later ones have their evidence folded.
function cards(app, list, isAccepted) {
  const counts = new Map();
  return list.map((each) => {
    counts.set(each.code, (counts.get(each.code) || 0) + 1);
    return card(app, each, isAccepted, counts.get(each.code) > UNFOLDED);
  });
}

const UNFOLDED = 2;

function card(app, finding, isAccepted, isFolded) {
  const code = app.data.codes[finding.code] || { name: "" };
  return h("article", { class: `card wide finding ${finding.severity}` },
    h("h3", {}, badge(finding.severity, finding.code), ` ${code.name} `, isAccepted ? badge("info", "accepted by the baseline") : null),
    h("p", { class: "lead wrap" }, finding.summary),
    strip(finding), carriers(finding), isFolded ? h("details", { class: "folded" }, h("summary", {}, "Evidence"), evidence(finding)) : evidence(finding),
    code.meaning ? h("details", {}, h("summary", {}, `What ${finding.code} means, and how to fix it`), definitions([["meaning", code.meaning], ["seen before", code.example], ["remedy", code.remedy]])) : null,
    finding.reproducer ? [h("p", { class: "label" }, "Repeat it:"), copyable(`rpw-fixture check ${finding.reproducer}/suite.toml --select ${finding.code}`, "command that repeats the finding")] : h("p", { class: "hint" }, "check --reproducers DIR writes a small suite that repeats it."));
}

// The requests in order: polluters, then the victim whose result changed.
function strip(finding) {
  if (!finding.victim) return null;
  const steps = [...finding.polluters.map((each) => ["polluter", each]), ["victim", finding.victim]];
  return h("ol", { class: "strip", "aria-label": "Requests of one worker in order" }, steps.map(([role, name]) => h("li", { class: role }, h("small", {}, role === "victim" && !finding.polluters.length ? "action" : role), h("span", { class: "wrap" }, name))),
    finding.outputs.length ? h("li", { class: "outputs" }, h("small", {}, "wrong"), h("span", { class: "wrap" }, finding.outputs.join(", "))) : null);
}

function carriers(finding) {
  if (!finding.carriers || finding.carriers.length === 0) return null;
  return definitions(finding.carriers.map((each) => [each.confirmed ? "carried by" : "suspect", carrier(each)]));
}

function carrier(each) {
  const place = each.place ? ` (${each.place})` : "";
  const change = each.before || each.after ? `: ${each.before || "?"} → ${each.after || "?"}` : "";
  return `${each.kind} ${each.name}${place}${change}${each.changed_at ? `, changed at ${each.changed_at}` : ""}`;
}

function evidence(finding) {
  const differences = finding.differences || [];
  return [others(pieces(finding.evidence || ""), differences).map((piece) => {
    if (piece.kind === "lines") return h("figure", {}, piece.path ? h("figcaption", { class: "wrap" }, piece.path) : null, linesTable(piece.path, [piece.left, piece.right], piece.rows));
    if (piece.kind === "bytes") return inBytes(piece);
    return h("pre", { class: "evidence", tabindex: "0" }, piece.text);
  }), differences.map((each) => difference(each))];
}

function inBytes(piece) {
  const cell = (hex) => h("td", {}, h("code", {}, hex), hex.startsWith("(") ? null : [h("br"), h("small", {}, `text: ${printable(hex)}`)]);
  return h("figure", {}, h("figcaption", { class: "wrap" }, `${piece.path}: from byte ${piece.at} on, of ${piece.sizes[0]} and ${piece.sizes[1]}`),
    scroller(`Bytes of ${piece.path}`, h("table", { class: "diff" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, piece.before), h("th", { scope: "col" }, piece.after))), h("tbody", {}, h("tr", {}, cell(piece.left), cell(piece.right))))));
}
