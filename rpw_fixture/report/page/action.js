// One action: why it ran where it did, its phases, its command, its inputs and outputs.

import { badge, copyable, definitions, h, missing, scroller, section, table } from "./dom.js";
import { accessOf, accessSummary, inputTree, joined, withUndeclared } from "./input_tree.js";
import { hasFailed, kindOf, outcomeOf, phasesOf, predecessors, recordedOf, titleOf, workerOf } from "./model.js";
import { short } from "./key_differences.js";
import { bytes, counted, seconds } from "./numbers.js";

const SHOWN = 20;

export function action(app) {
  const found = app.run && app.run.actions.find((each) => each.id === Number(app.parameters[1]));
  if (!found) return section("Action", missing("There is no such action in this run."), h("p", {}, h("a", { href: "#actions" }, "All actions")));
  const recorded = recordedOf(app.data.recordings, found);
  const worker = found.worker === null ? null : workerOf(app.run, found.worker);
  return h("div", { class: "grid" }, heading(app, found),
    h("div", { class: "column" }, why(app, found), command(found, worker, recorded), outputs(found, recorded), before(app, found)),
    h("div", { class: "column" }, phases(found), result(found, worker), inputs(app, found, worker, recorded)));
}

function heading(app, found) {
  const link = (step, text) => {
    const other = app.run.actions.find((each) => each.id === found.id + step);
    return other ? h("a", { href: `#action/${app.position}/${other.id}` }, text) : null;
  };
  return h("section", { class: "card wide" },
    h("nav", { class: "crumbs", "aria-label": "Neighbouring actions" }, h("a", { href: "#actions" }, "All actions"), h("a", { href: `#lanes/action/${found.id}` }, "Show in lanes"), link(-1, "← Previous"), link(1, "Next →")),
    h("h2", { class: "wrap" }, titleOf(found)),
    h("p", {}, badge(hasFailed(found) ? "failed" : kindOf(found), outcomeOf(found)), " ", found.mnemonic),
    definitions([["action digest", h("code", { class: "wrap" }, found.action)], ["invocation", found.invocation], ["pool key", found.key ? h("code", { title: found.key }, short(found.key)) : null]]));
}

function why(app, found) {
  const lane = found.worker === null ? null : h("a", { href: `#lanes/worker/${found.worker}` }, `worker ${found.worker}`);
  const texts = [];
  if (found.worker !== null) texts.push(found.reused ? "The worker had served other actions before." : "The worker was started for it, or had served nothing before.");
  const start = (app.run.worker_starts || []).find((each) => each.worker === found.worker);
  if (start && !found.reused) texts.push(`Why a worker was started: ${start.text}${start.remedy ? `. ${start.remedy}` : ""}`);
  if (found.protocol) texts.push(`The protocol was found out to be ${found.protocol}. ${found.protocol_detail}`);
  const without = found.mode === "one-shot" && (app.run.one_shot || []).find((each) => each.reason === found.reason);
  if (without && without.remedy) texts.push(`What to change: ${without.remedy}`);
  for (const each of found.retries || []) texts.push(`Worker ${each.worker} ended, so it was sent again: ${each.reason}`);
  if (found.cancelled) texts.push(`The request was cancelled: ${found.cancelled}.`);
  if (found.inputs_changed) texts.push(`Inputs that an earlier request had changed were placed again: ${found.inputs_changed.paths.join(", ")}.`);
  return section("Why here", definitions([["mode", found.mode], ["reason", found.reason], ["worker", lane]]), texts.map((each) => h("p", {}, each)),
    found.closest ? [h("p", {}, "No living worker fitted. The closest, worker ", String(found.closest.worker), ", differs in:"), h("ul", {}, found.closest.differences.map((each) => h("li", { class: "wrap" }, each)))] : null);
}

function phases(found) {
  const parts = phasesOf(found);
  if (parts.length === 0) return section("Time", definitions([["seconds", found.end === null ? "not finished" : seconds(found.seconds)]]), missing("The log has no phases: it was written by an older version, or the action did not end."));
  const total = parts.reduce((sum, each) => sum + each.seconds, 0) || 1;
  return section("Time", h("div", { class: "stack tall", role: "img", "aria-label": parts.map((each) => `${each.title}: ${seconds(each.seconds)}`).join(", ") },
    parts.map((each) => h("i", { class: `phase-${each.name}`, title: `${each.title}: ${seconds(each.seconds)}`, style: { width: `${(100 * each.seconds) / total}%` } }))),
  table("Phases", [{ title: "phase", header: true }, { title: "seconds", number: true }], parts.map((each) => [[h("i", { class: `swatch phase-${each.name}` }), each.title], seconds(each.seconds)])));
}

function quoted(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function command(found, worker, recorded) {
  if (recorded) {
    const { row } = recorded;
    const environment = Object.entries(row.environment || {});
    const line = [...environment.map(([name, value]) => `${name}=${quoted(value)}`), ...row.command.map(quoted), ...row.arguments.map(quoted)].join(" ");
    return section("Command", copyable(line, "one-shot command"),
      definitions([["working directory", row.working_directory || "the input root"], ["protocol", row.protocol], ["abilities", (row.abilities || []).join(", ")], ["persistentWorkerKey", row.key], ["timeout", row.timeout ? seconds(row.timeout) : null]]),
      h("details", {}, h("summary", {}, `Flagfile: ${counted(row.arguments.length, "argument")}`), copyable(row.arguments.join("\n"), "flagfile")),
      h("details", {}, h("summary", {}, `Environment: ${counted(environment.length, "variable")}`), environment.length ? copyable(environment.map(([name, value]) => `${name}=${value}`).join("\n"), "environment") : missing("Empty.")));
  }
  return section("Command", worker && worker.arguments ? copyable(worker.arguments.map(quoted).join(" "), "worker command") : null,
    missing(worker ? "The log has the worker's start-up arguments only. Flagfile, environment and inputs are in a recording: serve --record DIR, then give DIR to report." : "The log does not have the command. A recording (serve --record DIR) has those of worker actions."));
}

function result(found, worker) {
  return section("Result", definitions([["exit code", found.exit], ["status", found.status], ["message", found.message ? h("span", { class: "pre" }, found.message) : null]]),
    worker && worker.stderr ? h("details", { open: hasFailed(found) }, h("summary", {}, `End of the stderr of worker ${worker.id}`), copyable(worker.stderr, "stderr")) : null,
    worker && worker.end !== null && worker.end !== undefined ? h("p", { class: "hint" }, `Worker ${worker.id} ended at ${seconds(worker.end)}: ${worker.reason}.`) : null);
}

function sizeOf(digest) {
  const size = Number(String(digest).split("/")[1]);
  return Number.isFinite(size) ? bytes(size) : "";
}

function outputs(found, recorded) {
  const made = new Map(found.outputs || []);
  const declared = recorded ? recorded.row.outputs || [] : [];
  const lost = declared.filter((path) => !made.has(path) && ![...made.keys()].some((each) => each.startsWith(`${path}/`)));
  const rows = [...[...made].map(([path, digest]) => [h("span", { class: "wrap" }, path), sizeOf(digest), h("code", { title: digest }, short(digest))]),
    ...lost.map((path) => [h("span", {}, h("s", {}, path), " missing"), "", ""])];
  return section(`Outputs (${made.size})`, rows.length ? table("Outputs", [{ title: "path", header: true }, { title: "size", number: true }, { title: "digest" }], rows) : missing(found.end === null ? "Not finished." : "None were made."));
}

function inputs(app, found, worker, recorded) {
  const access = accessOf(app.data.checks, recorded ? recorded.row.name : `${found.target} ${found.mnemonic}`.trim());
  if (recorded) {
    const files = recorded.row.inputs.map((each) => recorded.recording.files[each]);
    return section(`Inputs (${files.length})`, accessSummary(access), scroller("Inputs", inputTree(withUndeclared(files, access), access)),
      access ? null : h("p", { class: "hint" }, "Which inputs were read is unknown: rpw-fixture check RECORDING --format json=FILE watches some actions (RPW207); give FILE to report too."));
  }
  const tools = ((worker && app.run.tools[worker.tools]) || []).map(([path, digest]) => [path, digest, true]);
  if (access) return section("Inputs", accessSummary(access), scroller("Inputs", inputTree(withUndeclared(joined(tools, access), access), access)));
  return section("Inputs", tools.length ? [h("p", {}, `${counted(tools.length, "tool input")}:`), scroller("Tool inputs", inputTree(tools, null))] : null,
    missing("The log does not have the other inputs. A recording (serve --record DIR) has."));
}

function before(app, found) {
  const earlier = predecessors(app.run, found);
  if (found.worker === null) return null;
  return section(`Before it on this worker (${earlier.length})`, earlier.length ? h("ol", { class: "plain" }, earlier.slice(0, SHOWN).map(({ action: each, request }) =>
    h("li", {}, h("a", { href: `#action/${app.position}/${each.id}`, class: "wrap" }, titleOf(each)), h("small", {}, ` request ${request.id}, ${seconds(request.sent)}`)))) : missing("Nothing: it met a fresh worker."),
  earlier.length > SHOWN ? h("p", { class: "hint" }, `and ${earlier.length - SHOWN} earlier ones`) : null);
}
