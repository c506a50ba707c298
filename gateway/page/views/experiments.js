// Experiments: which ranking is better, by the likes that follow.

import { pathOf } from "../api.js";
import { confirmed } from "../dialog.js";
import { h, stylesheet } from "../dom.js";
import { card } from "../experiments/card.js";
import { ended } from "../experiments/ended.js";
import { startForm } from "../experiments/form.js";
import { outside } from "../experiments/outside.js";
import { asAdmin } from "../ops/admin.js";
import { waited } from "../waiting.js";

export const title = "Experiments";

const POLL_MS = 4_000;
const POLL_SOON_MS = 400;
const SOON_MS = 15_000;
const OUTSIDE_MS = 20_000;

export async function show(root, params, context) {
  await stylesheet("ops");
  const view = new Experiments(root, context);
  await view.start();
  return () => view.stop();
}

class Experiments {
  constructor(root, context) {
    Object.assign(this, { root, context, cards: new Map(), stopped: new AbortController(), soonUntil: 0 });
    this.opener = h("button", { type: "button", class: "button primary", onclick: () => this.openForm() }, "Start an experiment");
    this.place = h("div", { class: "experiment-form-place" });
    this.running = h("div", { class: "experiments" });
    this.empty = this.#nothing();
    this.outside = outside();
    this.ended = ended(context);
    root.append(h("header", { class: "ops-head" }, h("h1", {}, title), this.opener), this.place, this.empty, this.running, this.outside.root, this.ended.root);
  }

  async start() {
    await this.load();
    if (!this.cards.size) await this.ended.load();
    this.#countOutside(); // the page does not wait for it
    this.#showNamed();
    this.#poll();
  }

  stop() {
    this.stopped.abort();
    for (const { dispose } of this.cards.values()) dispose();
  }

  /** Ask for what runs, and for the numbers of each. */
  async load() {
    const options = { quiet: true, signal: this.stopped.signal };
    const { experiments } = await this.context.api.get("/v1/experiments", { state: "running", limit: 100 }, options);
    const reports = await Promise.all(experiments.map(({ name }) => this.#report(name, options)));
    const running = reports.filter((report) => report && report.experiment.stopped_at_ms === undefined);
    const names = new Set(running.map(({ experiment }) => experiment.name));
    const ends = [...this.cards.keys()].filter((name) => !names.has(name));
    const changed = ends.length > 0 || [...names].some((name) => !this.cards.has(name));
    for (const name of ends) this.#leave(name);
    for (const { experiment } of running) this.#enter(experiment.name);
    for (const report of running) this.cards.get(report.experiment.name).show(report);
    if (changed) await this.ended.load(); // what starts may replace one that has ended
    this.#showEmpty();
  }

  /** The counts of all other lists; without Redis, those that are shown stay. */
  async #countOutside() {
    this.outsideAt = Date.now();
    const { redis } = await this.context.api.get("/v1/status", null, { quiet: true, signal: this.stopped.signal }).catch(() => ({ redis: null }));
    if (redis) this.outside.show(redis.outside_experiments);
  }

  /** The numbers of an experiment, or null if it has just been removed. */
  #report(name, options) {
    return this.context.api.get(pathOf("v1", "experiments", name), null, options).catch((error) => {
      if (error.status !== 404) throw error;
      return null;
    });
  }

  async openForm() {
    const form = await startForm(this.context, { started: (answer) => this.#started(answer), closed: () => this.closeForm() });
    this.place.replaceChildren(form.root);
    this.#showEmpty();
    form.focus();
  }

  closeForm() {
    this.place.replaceChildren();
    this.#showEmpty();
    (this.opener.hidden ? this.empty.querySelector("button") : this.opener).focus();
  }

  #started({ experiment, notes }) {
    this.closeForm();
    this.context.toast(`${experiment.name} starts`);
    this.place.replaceChildren(...notes.map((note) => h("p", { class: "card experiment-note" }, note)));
    this.#soon();
  }

  async #end(name) {
    const sure = await confirmed(`Stop ${name}?`, "Its users get what everybody gets, at once. Likes of the lists shown so far still count while their window is open.", "Stop it");
    if (!sure) return;
    const done = await asAdmin(this.context, () => this.context.api.post(pathOf("v1", "experiments", name, "stop")));
    if (!done) return;
    this.context.toast(`${name} stops`);
    this.#soon();
  }

  #enter(name) {
    if (this.cards.has(name)) return;
    const stop = h("button", { type: "button", class: "button", "aria-label": `Stop ${name}`, onclick: () => this.#end(name) }, "Stop");
    const made = card(name, { action: stop, announce: this.context.announce });
    this.cards.set(name, made);
    this.running.append(made.root);
  }

  #leave(name) {
    const { root, dispose } = this.cards.get(name);
    dispose();
    root.remove();
    this.cards.delete(name);
  }

  /** A change takes a moment to reach the store: ask often for a while. */
  #soon() {
    this.soonUntil = Date.now() + SOON_MS;
    this.wake?.abort();
  }

  async #poll() {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      this.wake = new AbortController();
      await waited(Date.now() < this.soonUntil ? POLL_SOON_MS : POLL_MS, AbortSignal.any([signal, this.wake.signal]));
      if (signal.aborted || document.hidden) continue;
      if (Date.now() - this.outsideAt >= OUTSIDE_MS) await this.#countOutside();
      await this.load().catch(() => null); // what is shown stays; the next attempt may succeed
    }
  }

  /** Scroll to the experiment that the address names. */
  #showNamed() {
    const named = [...this.root.querySelectorAll("[data-name]")].find(({ dataset }) => location.hash === `#${dataset.name}`);
    named?.scrollIntoView();
  }

  #showEmpty() {
    const asking = this.place.querySelector("form") !== null;
    this.empty.hidden = this.cards.size > 0 || asking;
    this.opener.hidden = asking || !this.empty.hidden;
  }

  #nothing() {
    return h("div", { class: "state experiments-none" },
      h("h2", {}, "No experiment is running"),
      h("p", { class: "soft" },
        "An experiment answers some users differently: with another model, another ranker, or other options. ",
        "The likes that follow decide which way is better, and you may look at the verdict as often as you like. ",
        "Stop it whenever you have seen enough; everything can be recomputed from the topics."),
      h("button", { type: "button", class: "button primary", onclick: () => this.openForm() }, "Start one"));
  }
}
