// A live page: rows that changed arrive as server-sent events.

import { h } from "./dom.js";
import { applyChanges } from "./model.js";

export function startLive(app) {
  let paused = false;
  let waiting = [];
  const state = h("span", { class: "live-state", role: "status" }, "connecting");
  const button = h("button", { type: "button", "aria-pressed": "false" }, "Pause");
  const apply = (changes) => app.changed(() => applyChanges(app.data.runs[0], changes));
  button.addEventListener("click", () => {
    paused = !paused;
    button.textContent = paused ? "Continue" : "Pause";
    button.setAttribute("aria-pressed", String(paused));
    if (paused) return;
    for (const each of waiting) apply(each);
    waiting = [];
  });
  const source = new EventSource("events");
  source.addEventListener("open", () => { state.textContent = "live"; });
  source.addEventListener("error", () => { state.textContent = source.readyState === EventSource.CLOSED ? "ended" : "lost, trying again"; });
  source.addEventListener("reset", (event) => {
    waiting = [];
    app.changed(() => { app.data.runs[0] = JSON.parse(event.data); });
  });
  source.addEventListener("changes", (event) => {
    const changes = JSON.parse(event.data);
    if (paused) waiting.push(changes);
    else apply(changes);
  });
  source.addEventListener("ended", () => {
    source.close();
    state.textContent = "the server has stopped";
  });
  return h("div", { class: "live" }, state, button);
}
