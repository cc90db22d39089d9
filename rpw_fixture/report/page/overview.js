// Overview: what ran, how, what the worker bought, what was found, what was not checked.

import { badge, definitions, h, missing, section, table } from "./dom.js";
import { ofCode } from "./matrix.js";
import { KINDS } from "./model.js";
import { counted, percent, seconds } from "./numbers.js";

const ORDER = ["warm", "cold", "one-shot", "cache", "unfinished"];

export function overview(app) {
  const { run } = app;
  return h("div", { class: "grid" },
    app.data.problems.length ? problems(app.data.problems) : null,
    app.data.runs.length > 1 ? runs(app) : null,
    run ? [tiles(app, run), how(run), h("div", { class: "column" }, bought(run), ends(app, run)), started(app, run), run.violations.length || run.bugs.length ? violations(app, run) : null] : null,
    app.data.checks.map((check) => checked(app, check)),
    run && run.configuration ? settings(run) : null,
    !run && app.data.checks.length === 0 ? section("Nothing to show", missing("None of the inputs holds a run or a check. Give an events file (serve --events FILE), the JSON of check, or both.")) : null);
}

function problems(texts) {
  return h("section", { class: "card wide notice" }, h("h3", {}, "About the inputs"), h("ul", {}, texts.map((each) => h("li", {}, each))));
}

const SHOWN_RUNS = 300;

// All runs, those of failed tests first.
function runs(app) {
  const rows = app.data.runs.map((each, index) => ({ each, index })).sort((one, other) => Number(Boolean(other.each.failed)) - Number(Boolean(one.each.failed)));
  const columns = [{ title: "run", header: true }, { title: "actions", number: true }, { title: "failed", number: true }, { title: "warm", number: true }, { title: "workers", number: true }];
  const cells = rows.slice(0, SHOWN_RUNS).map(({ each, index }) => [
    [h("a", { href: `#overview/run/${index}`, class: "wrap", "aria-current": index === app.position ? "true" : null }, each.name), each.failed ? [" ", badge("failed", "test failed")] : null],
    each.summary.actions.toLocaleString("en"), String(each.summary.failed), percent(each.summary.reuse), String(each.summary.workers)]);
  return h("section", { class: "card wide" }, h("h3", {}, `Runs (${rows.length})`), h("div", { class: "runs" }, table("Runs", columns, cells)), rows.length > SHOWN_RUNS ? h("p", { class: "hint" }, `and ${rows.length - SHOWN_RUNS} more, in the list at the top`) : null,
    app.run ? h("p", {}, "Below: ", h("b", { class: "wrap" }, app.run.name)) : null);
}

function tile(value, label, kind = "") {
  return h("div", { class: `tile ${kind}` }, h("strong", {}, value), h("span", {}, label));
}

function tiles(app, run) {
  const { summary } = run;
  const findings = app.data.checks.reduce((sum, each) => sum + each.findings.length, 0);
  return h("div", { class: "tiles wide" },
    tile(summary.actions.toLocaleString("en"), "actions"),
    tile(percent(summary.reuse), "of worker actions met a warm worker", summary.reuse === null ? "" : summary.reuse > 0.5 ? "good" : "bad"),
    tile(summary.workers.toLocaleString("en"), "workers started"),
    tile(summary.failed.toLocaleString("en"), "failed", summary.failed ? "bad" : "good"),
    tile(run.violations.length.toLocaleString("en"), "protocol violations", run.violations.length ? "bad" : "good"),
    app.data.checks.length ? tile(findings.toLocaleString("en"), "findings", findings ? "bad" : "good") : null,
    tile(seconds(run.end), app.data.live ? "since the first event" : "from first to last event"));
}

function how(run) {
  const total = run.summary.actions || 1;
  const kinds = ORDER.filter((each) => run.summary.kinds[each]);
  const bar = h("div", { class: "stack", role: "img", "aria-label": kinds.map((each) => `${KINDS[each]}: ${run.summary.kinds[each]}`).join(", ") },
    kinds.map((each) => h("i", { class: each, style: { width: `${(100 * run.summary.kinds[each]) / total}%` } })));
  const legend = h("ul", { class: "legend" }, kinds.map((each) => h("li", {}, h("i", { class: `swatch ${each}` }), `${KINDS[each]}: ${run.summary.kinds[each].toLocaleString("en")}`)));
  const rows = run.summary.ways.map(([mode, reason, count]) => [mode, reason || "–", count.toLocaleString("en")]);
  return section("How actions ran", rows.length ? [bar, legend, table("Where actions ran, and why", [{ title: "where", header: true }, { title: "reason" }, { title: "actions", number: true }], rows)] : missing("The log holds no action."));
}

function bought(run) {
  const of = (row, kind) => row.kinds[kind];
  const rows = run.summary.mnemonics.map((row) => [
    row.mnemonic || "(no mnemonic)",
    ...["warm", "cold", "one-shot"].map((kind) => cell(of(row, kind))),
    gain(of(row, "warm"), of(row, "one-shot") || of(row, "cold")),
  ]);
  const columns = [{ title: "mnemonic", header: true }, { title: "warm", number: true }, { title: "cold", number: true }, { title: "one-shot", number: true }, { title: "warm is faster", number: true }];
  return section("What workers bought", rows.length ? [table("Median seconds by mnemonic", columns, rows),
    h("p", { class: "hint" }, "Medians, and how many. “Warm is faster” compares with one-shot, else with a fresh worker.")] : missing("No action ended."));
}

function cell(one) {
  return one ? [seconds(one.median), h("small", {}, ` × ${one.count}`)] : "–";
}

function gain(warm, other) {
  if (!warm || !other || warm.median <= 0) return "–";
  return `${(other.median / warm.median).toFixed(1)} ×`;
}

function ends(app, run) {
  const alive = run.workers.filter((each) => each.end === null).length;
  const rows = run.summary.ends.map(([reason, count]) => [reason, count]);
  if (alive) rows.push([app.data.live ? "still alive" : "alive at the end of the log", alive]);
  return section("How workers ended", rows.length ? table("Ends of workers", [{ title: "reason", header: true }, { title: "workers", number: true }], rows) : missing("No worker was started."));
}

// Why workers were started at all, and why actions got none: each with what to change.
function started(app, run) {
  const groups = new Map();
  for (const each of run.worker_starts || []) {
    const name = `${each.reason} ${each.remedy}`;
    if (!groups.has(name)) groups.set(name, { texts: new Set(), remedy: each.remedy, workers: [] });
    groups.get(name).texts.add(each.text || each.reason);
    groups.get(name).workers.push(each.worker);
  }
  const links = (numbers) => [numbers.slice(0, 6).map((each) => [h("a", { href: `#lanes/worker/${each}` }, String(each)), " "]), numbers.length > 6 ? `and ${numbers.length - 6} more` : ""];
  const starts = [...groups.values()].map((each) => [alike([...each.texts]), links(each.workers), remedy(each.remedy)]);
  const without = (run.one_shot || []).map((each) => [each.reason, String(each.actions), remedy(each.remedy)]);
  if (starts.length + without.length === 0) return null;
  return h("section", { class: "card wide" }, h("h3", {}, "Why workers were started, and why actions got none"),
    starts.length ? table("Starts of workers", [{ title: "reason of the start", header: true }, { title: "workers" }, { title: "what to change" }], starts, "prose") : null,
    without.length ? table("Actions without a worker", [{ title: "no worker because", header: true }, { title: "actions" }, { title: "what to change" }], without, "prose") : null);
}

// The column says already that it is what to change.
function remedy(text) {
  const bare = (text || "").replace(/^Fix: /, "");
  return bare ? bare.charAt(0).toUpperCase() + bare.slice(1) : "nothing";
}

function alike([first, ...more]) {
  const text = h("span", { class: "wrap" }, first);
  return more.length ? [text, h("details", {}, h("summary", {}, `and ${more.length} like it`), h("ul", {}, more.map((each) => h("li", { class: "wrap" }, each))))] : text;
}

function violations(app, run) {
  const rows = run.violations.map((each) => [h("a", { href: `#lanes/worker/${each.worker}` }, `worker ${each.worker}`), each.rule, h("span", { class: "pre" }, each.detail), seconds(each.time)]);
  const bugs = run.bugs.map((each) => h("details", {}, h("summary", {}, `Error in the server itself: ${each.where}`), h("pre", { tabindex: "0" }, each.detail)));
  return h("section", { class: "card wide" }, h("h3", {}, "Protocol violations"),
    rows.length ? table("Protocol violations", [{ title: "worker", header: true }, { title: "rule" }, { title: "evidence" }, { title: "at" }], rows, "prose") : null, bugs);
}

function checked(app, check) {
  const states = (wanted) => check.checks.filter((each) => ofCode(each) === wanted);
  const [lacking, alien] = [states("skipped"), states("not-applicable")];
  const count = (status) => check.checks.filter((each) => each.status === status).length;
  const found = check.findings.map((each) => h("li", {}, badge(each.severity, each.code), " ", h("a", { href: "#findings" }, each.summary)));
  return h("section", { class: "card wide" }, h("h3", {}, `Check: ${check.name}`),
    h("p", {}, `${counted(check.findings.length, "finding")}; ${count("passed")} codes passed, ${count("failed")} failed, ${lacking.length} not checked, ${alien.length} not applicable. `,
      `${counted(check.actions, "action")}, ${counted(check.requests || 0, "request")}, ${counted(check.worker_starts || 0, "worker start")} in ${seconds(check.seconds)}.`),
    found.length ? h("ul", { class: "plain" }, found) : null,
    withReasons("Not checked", lacking), withReasons("Not applicable", alien));
}

function withReasons(title, states) {
  return states.length ? h("details", {}, h("summary", {}, `${title}: ${states.map((each) => each.code).join(", ")}`), definitions(states.map((each) => [`${each.code} ${each.name}`, each.reason || "no reason given"]))) : null;
}

function settings(run) {
  const given = Object.entries(run.configuration).map(([name, value]) => [name, typeof value === "string" ? value : JSON.stringify(value)]);
  return h("section", { class: "card wide" }, h("h3", {}, "Server"),
    definitions([["version", run.version], ["address", run.endpoint], ["process", run.pid], ["started", new Date(run.start * 1000).toLocaleString()]]),
    h("details", {}, h("summary", {}, "Settings"), definitions(given)));
}
