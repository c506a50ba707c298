// Live: what the deployment does now, second by second.

import { h, stylesheet } from "../dom.js";
import { flow } from "../ops/flow.js";
import { clock, latency, percent, rate } from "../ops/format.js";
import { remember } from "../ops/history.js";
import { historyTable } from "../ops/history_table.js";
import { healthBanner } from "../ops/health.js";
import { lagBars } from "../ops/lag_bars.js";
import { panel } from "../ops/panel.js";
import { ticker } from "../ops/ticker.js";

export const title = "Live";

const PANELS = [
  {
    name: "Traffic",
    area: "traffic",
    format: rate,
    series: [
      { label: "events", unit: "/s", colour: "--series-1", fill: "--ops-fill", read: (tick) => tick.events_per_s, format: rate },
      { label: "answers", unit: "/s", colour: "--series-2", read: (tick) => tick.answers_per_s, format: rate },
      { label: "HTTP", unit: "/s", colour: "--series-3", read: (tick) => tick.http_per_s, format: rate },
    ],
  },
  {
    name: "Latency of answers",
    area: "latency",
    format: latency,
    none: "No answers in this time.",
    series: [
      { label: "p50", colour: "--series-1", read: (tick) => tick.latency_ms?.p50, format: latency },
      { label: "p99", colour: "--series-2", read: (tick) => tick.latency_ms?.p99, format: latency },
    ],
  },
  {
    name: "Model",
    area: "model",
    format: clock,
    floor: 10,
    none: "No model yet. The first one is built once there are likes.",
    series: [{ label: "age", short: "Model age", colour: "--series-1", fill: "--ops-fill", read: (tick) => tick.model?.age_s, format: clock }],
  },
  {
    name: "Hit rate",
    area: "quality",
    format: percent,
    floor: 0.01,
    none: "Nothing measured yet. The setting consumer.quality_samples_per_s turns it on.",
    series: [
      { label: "of new likes among the first 20", short: "Hit rate", colour: "--series-1", fill: "--ops-fill", read: (tick) => tick.quality?.hit_rate, format: percent },
    ],
  },
];

export async function show(root, params, { live, announce }) {
  await stylesheet("ops");
  const state = h("p", { class: "live-state", "data-state": "connecting" }, "Connecting…");
  const pause = h("button", { type: "button", class: "button", "aria-pressed": "false", onclick: togglePause }, "Pause");
  const health = healthBanner(announce);
  const stages = flow();
  const panels = PANELS.map(panel);
  const [traffic, latencies, model, quality] = panels;
  const bars = lagBars();
  const likes = ticker();
  const table = historyTable(PANELS.flatMap(({ series }) => series));
  let paused = false;
  let connected = null;
  let lastTick = null;

  root.append(
    h("header", { class: "ops-head" }, h("h1", {}, title), state, pause),
    health.root,
    stages.root,
    h("div", { class: "live-grid" },
      traffic.root,
      latencies.root,
      h("section", { class: "card panel", "data-area": "lag" }, h("header", {}, h("h2", {}, "Waiting, by partition")), bars.root),
      h("section", { class: "card panel", "data-area": "ticker" }, h("header", {}, h("h2", {}, "Just now")), likes.root),
      model.root,
      quality.root,
    ),
    table.root,
  );
  panels.forEach((one) => one.begin());

  function togglePause() {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    showState();
  }

  function onTick(tick) {
    lastTick = tick;
    remember(tick);
    health.show(tick.problems);
    if (paused) return;
    stages.show(tick);
    panels.forEach((one) => one.show(tick));
    bars.show(tick.lag);
    table.show();
  }

  function showState() {
    const [name, text] =
      connected === null ? ["connecting", "Connecting…"]
      : !connected ? ["reconnecting", "Reconnecting…"]
      : paused ? ["paused", "Paused"] : ["live", "Live"];
    if (state.dataset.state === name) return;
    if (name === "reconnecting") health.lost(lastTick?.at_ms);
    state.dataset.state = name;
    state.textContent = text;
  }

  const unsubscribe = live.subscribe(({ type, data }) => {
    if (type === "tick") onTick(data);
    if (type === "like" && !paused) likes.add(data);
    connected = type !== "disconnected";
    showState();
  });
  return () => {
    unsubscribe();
    panels.forEach((one) => one.dispose());
  };
}
