// Train: a folder, what is in it, and a training that goes on whether this page is open or not.

import { events, get, ignore, post, refresh } from "../api.js";
import { say, store } from "../store.js";
import { button, choice, clock, counted, el, field, svg } from "./dom.js";
import { fill, holder } from "./settings.js";

const FIRST = ["minutes", "preset"]; // of the declared settings, those shown at once
const EVERY_MS = 5000; // trainings that run are asked for again, should their events stop
const STATES = { running: "is training", paused: "is paused", stopped: "was stopped", done: "is ready", failed: "has failed" };
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [276, 120, 34, 16];

/** The options of a training, whose length is one of two. */
const held = holder({ minutes: 10 }, ["minutes", "epochs"]);

/** The fewest held-out nats of a curve, infinite without any. */
const bestOf = (points) => Math.min(...points.map((row) => row[2]).filter((one) => typeof one === "number"));

/** The curve of a training: nats of the pieces learned and of those held out, over its validations. */
function curve(points) {
  const drawn = svg("svg", { class: "curve", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const rows = points.filter(([, ...nats]) => nats.some((one) => typeof one === "number"));
  if (!rows.length) {
    drawn.setAttribute("aria-label", "No figures yet");
    const words = svg("text", { x: WIDTH / 2, y: HEIGHT / 2, "text-anchor": "middle" });
    words.textContent = "The first figures come after the first epoch.";
    drawn.append(words);
    return drawn;
  }
  const all = rows.flatMap(([, ...nats]) => nats).filter((one) => typeof one === "number");
  let [low, high] = [Math.min(...all), Math.max(...all)];
  if (high - low < 0.1) [low, high] = [low - 0.05, high + 0.05];
  const [first, last] = [Math.min(0, rows[0][0]), rows.at(-1)[0]];
  const x = (epoch) => LEFT + ((epoch - first) / (last - first || 1)) * (WIDTH - LEFT - 8);
  const y = (nats) => 8 + ((high - nats) / (high - low)) * (HEIGHT - BOTTOM - 12);
  for (const nats of [high, (high + low) / 2, low]) {
    const words = svg("text", { x: LEFT - 4, y: y(nats) + 4, "text-anchor": "end" });
    words.textContent = nats.toFixed(1);
    drawn.append(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - 8, y1: y(nats), y2: y(nats) }), words);
  }
  const end = svg("text", { x: WIDTH - 8, y: HEIGHT - 2, "text-anchor": "end" });
  end.textContent = `epoch ${Math.round(last * 10) / 10}`;
  drawn.append(end);
  for (const [name, at] of [["train", 1], ["valid", 2]]) {
    const known = rows.filter((row) => typeof row[at] === "number");
    if (!known.length) continue;
    drawn.append(svg("polyline", { class: name, points: known.map((row) => `${x(row[0]).toFixed(1)},${y(row[at]).toFixed(1)}`).join(" ") }));
    const row = known.at(-1);
    drawn.append(svg("circle", { class: name, cx: x(row[0]), cy: y(row[at]), r: 2.5 }));
  }
  const best = bestOf(rows);
  drawn.setAttribute("aria-label", Number.isFinite(best) ? `Held-out nats per note: best ${best.toFixed(2)} up to epoch ${last}` : `${counted(rows.length, "figure")} so far`);
  return drawn;
}

export function mount(element) {
  const folder = el("input", { type: "text", id: "train-folder", placeholder: "/home/me/midi", autocomplete: "off", spellcheck: false });
  const read = button("Read it", intake, "button", { id: "train-read" });
  const report = el("div", { class: "card report", hidden: true, "aria-live": "polite", id: "train-report" });
  const options = el("div", { class: "controls" });
  const more = el("div", { class: "controls" });
  const start = button("Start training", begin, "button primary wide", { id: "train-start", disabled: true });
  const list = el("ul", { class: "list trainings", id: "trainings" });
  const models = el("div", {});
  const chosen = el("section", { hidden: true }, options, el("details", { class: "section" }, el("summary", {}, "More"), more), start);
  element.append(el("h2", {}, "Train"),
    el("p", { class: "hint" }, "A folder of MIDI files on this machine becomes a model. Sub-folders are its styles. The training goes on when this page is closed."),
    field("Folder", folder), el("div", { class: "row" }, read), report, chosen, list, el("h3", { class: "over" }, "Model"), models);

  folder.addEventListener("keydown", (event) => event.key === "Enter" && intake());
  folder.addEventListener("input", () => {
    start.disabled = true;
    chosen.hidden = true;
    report.hidden = true;
  });

  async function intake() {
    const asked = folder.value.trim();
    if (!asked) return folder.focus();
    read.disabled = true;
    report.hidden = false;
    report.replaceChildren(el("p", {}, "Reading the folder …"));
    try {
      const found = await get("/api/intake", { folder: asked });
      if (folder.value.trim() !== asked) return;
      report.replaceChildren(el("ul", {}, found.lines.map((words) => el("li", {}, words))));
      chosen.hidden = start.disabled = found.pieces === 0;
    } catch (error) {
      report.replaceChildren(el("p", {}, error.message || "The folder could not be read."));
      ignore(error);
    } finally {
      read.disabled = false;
    }
  }

  async function begin() {
    start.disabled = true;
    try {
      await post("/api/trainings", { folder: folder.value.trim(), options: held.values });
      say("The training has started. It goes on when this page is closed.");
      chosen.hidden = report.hidden = true;
      await load();
    } catch (error) {
      start.disabled = false;
      ignore(error);
    }
  }

  // What runs: its events, and a look from time to time.
  const sources = new Map();
  let trainings = [];
  let timer = 0;

  async function load() {
    trainings = (await get("/api/trainings")) ?? [];
    trainings.forEach(follow);
    show();
  }

  function follow({ id, state }) {
    if (state !== "running" || sources.has(id)) return;
    const take = (data) => {
      const before = trainings.find((one) => one.id === id);
      trainings = trainings.map((one) => (one.id === id ? { ...one, ...data } : one));
      const after = trainings.find((one) => one.id === id);
      if (before && after && before.state !== after.state) say(`The training of ${nameOf(after.folder)} ${STATES[after.state] ?? after.state}.`);
      show();
    };
    const ended = async (data) => {
      sources.delete(id);
      take(data);
      await load();
      await refresh();
    };
    sources.set(id, events(`/api/trainings/${id}/events`, { progress: take, done: (data) => ended(data).catch(ignore), failed: (data) => (data.state ? ended(data).catch(ignore) : later(id)) }));
  }

  /** Events that broke off are followed anew after a while. */
  function later(id) {
    setTimeout(() => {
      sources.delete(id);
      if (!store.state.lost) load().catch(ignore);
    }, EVERY_MS);
  }

  async function order(training, what) {
    try {
      const answer = await post(`/api/trainings/${training.id}/${what}`);
      if (answer?.state) trainings = trainings.map((one) => (one.id === training.id ? { ...one, ...answer } : one));
      if (what === "pause" || what === "stop") {
        sources.get(training.id)?.close();
        sources.delete(training.id);
      }
      await load();
    } catch (error) {
      ignore(error);
    }
  }

  async function use(path) {
    try {
      await post("/api/model", { path });
      const { model } = await refresh();
      say(`Composing with ${nameOfModel(model)}.`);
      showModels().catch(ignore);
    } catch (error) {
      ignore(error);
    }
  }

  const nameOf = (path) => path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;

  /** A model that was trained here is called as its folder. */
  function nameOfModel({ path, name }) {
    const training = trainings.find(({ model }) => model === path);
    return training ? nameOf(training.folder) : name;
  }

  function item(training) {
    const { folder: of, state, epoch, epochs, seconds_left: left, model, words: said } = training;
    const isLive = state === "running" || state === "paused";
    const best = bestOf(training.curve ?? []);
    const words = [
      isLive && (epochs ? `epoch ${Math.round(epoch * 10) / 10} of ${Math.round(epochs * 10) / 10}` : epoch ? `epoch ${Math.round(epoch * 10) / 10}` : said),
      state === "running" && typeof left === "number" && `${clock(left)} left`,
      Number.isFinite(best) && `${best.toFixed(2)} nats per held-out note`,
    ].filter(Boolean);
    const inUse = model && store.state.status?.model?.path === model;
    return el("li", { class: "card", "data-training": training.id, "data-state": state },
      el("p", {}, el("b", {}, nameOf(of)), ` ${STATES[state] ?? state}`),
      curve(training.curve ?? []),
      (training.curve ?? []).length ? el("p", { class: "legend hint" }, el("span", { class: "train" }, "learned"), el("span", { class: "valid" }, "held out"), "nats per note, fewer are better") : null,
      words.length ? el("p", { class: "hint" }, words.join(" · ")) : null,
      state === "failed" && el("p", { class: "bad" }, said),
      el("div", { class: "row" },
        state === "running" && button("Pause", () => order(training, "pause"), "button small"),
        (state === "paused" || state === "stopped") && button("Resume", () => order(training, "resume"), "button small"),
        isLive && button("Stop", () => order(training, "stop"), "button small", { title: "Ends it; the best model so far is kept" }),
        model && !inUse && (state === "done" || state === "stopped") && button("Compose with it", () => use(model), "button small primary"),
        inUse && el("span", { class: "hint" }, "in use")));
  }

  function show() {
    if (!list.contains(document.activeElement)) list.replaceChildren(...trainings.map(item));
    else {
      // The button that has the focus keeps it, by its words.
      const { textContent } = document.activeElement;
      const at = [...list.children].findIndex((one) => one.contains(document.activeElement));
      list.replaceChildren(...trainings.map(item));
      const buttons = [...(list.children[at]?.querySelectorAll("button") ?? [])];
      (buttons.find((one) => one.textContent === textContent) ?? buttons[0])?.focus();
    }
  }

  async function showModels() {
    const found = await get("/api/models");
    const current = store.state.status?.model?.path;
    const entries = found.map((model) => [model.path, model.mine ? nameOfModel(model) : `${model.name} (comes along)`]);
    models.replaceChildren(field("Composing with", choice(entries, current, use, { id: "model" })));
  }

  let built = false;
  function build() {
    const settings = store.state.status?.train_settings;
    if (built || !settings) return;
    built = true;
    fill(options, FIRST.map((name) => settings.find((one) => one.name === name)).filter(Boolean), { held });
    fill(more, settings.filter(({ name }) => !FIRST.includes(name)), { held });
  }

  store.on("status", () => {
    build();
    show();
  });
  store.on("panel", (panel) => {
    clearInterval(timer);
    if (panel !== "train") return;
    load().then(showModels).catch(ignore);
    timer = setInterval(() => trainings.some(({ state }) => state === "running") && !store.state.lost && load().catch(ignore), EVERY_MS);
  });
  build();
  // A training that was started before is followed whatever panel is open: its end is said.
  if (store.state.status) load().catch(ignore);
  else {
    const end = store.on("status", () => {
      end();
      load().catch(ignore);
    });
  }
}
