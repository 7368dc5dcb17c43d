// Compose: one button; what comes plays at once. Beside it the settings that are asked for most.

import { ignore, open, post, refresh } from "../api.js";
import { bind } from "../keys.js";
import { play, stop } from "../player.js";
import { say, store } from "../store.js";
import { button, counted, el, icon, jobLine } from "./dom.js";
import { declared, fill, inWords, loadSteering, onModel, steering } from "./settings.js";

const FIRST = ["style", "bars", "qpm", "temperature", "programs", "key", "form", "chords"];
const CERTAIN = 2; // bars after which what is composed begins to play

let changed = () => {};
const line = jobLine(() => changed());
let growing = null;

/** Settings of a new piece: those that were set, and what was written above the roll. */
function settingsOf() {
  const settings = { ...steering.values };
  const { plan } = store.state;
  const known = new Set(declared().map(({ name }) => name));
  if (plan?.chords?.some(Boolean) && known.has("chords")) settings.chords = chordsInWords(plan.chords);
  if (plan?.form?.some(Boolean) && known.has("form")) settings.form = formInWords(plan.form);
  return settings;
}

/** The chords of bars as a setting: a bar without any goes on with those of the bar before. */
export function chordsInWords(bars) {
  return bars.map((text) => text.trim() || "%").join(" | ").replace(/^(% \| )+/, (rests) => rests.replaceAll("%", "N.C."));
}

/** Letters of bars as a setting, A8 B8: a bar without one belongs to the section before. */
function formInWords(letters) {
  const sections = [];
  for (const letter of letters) {
    if (!sections.length || (letter && letter !== sections.at(-1)[0])) sections.push([letter || "A", 1]);
    else sections.at(-1)[1]++;
  }
  return sections.map(([letter, bars]) => `${letter}${bars}`).join(" ");
}

/** What is certain so far is seen, and soon heard. */
function grow(data) {
  if (data.piece) growing = { name: "", notes: growing?.notes ?? [], ...growing, ...data.piece };
  if (!growing || !data.notes) return;
  // After a lost connection they come from the first one on again.
  growing = { ...growing, notes: [...growing.notes.slice(0, data.count - data.notes.length), ...data.notes] };
  store.set({ growing });
  const certain = growing.notes.at(-1)?.[1] ?? 0;
  if (!store.state.playing && certain >= (growing.bars[CERTAIN] ?? Infinity)) play(0);
}

/** Composes with what the panel holds; plays it. */
export async function compose() {
  if (line.running()) return;
  growing = null;
  const answer = await line.run(() => post("/api/compose", { settings: settingsOf() }), "Composing …", grow);
  const heard = store.state.playing && store.state.growing !== null;
  if (!answer?.pieces?.length) {
    if (heard) stop();
    return store.set({ growing: null });
  }
  try {
    await refresh();
    const piece = await open(answer.pieces[0].id);
    if (!heard) play(0);
    say(`Composed: ${piece.name}, ${counted(piece.bars.length - 1, "bar")}, ${counted(piece.parts.length, "part")}.`);
  } catch (error) {
    ignore(error);
  }
}

export function mount(element) {
  const go = button([icon("compose"), "Compose"], compose, "button primary large wide", { title: "Compose a piece and play it (N)", id: "compose" });
  const controls = el("div", { class: "controls" });
  const rest = el("p", { class: "hint rest" });
  const drafted = el("p", { class: "hint", hidden: true });
  const steer = button("All settings", () => store.set({ panel: "steer" }), "button small");
  const clear = button("Leave all to the model", () => steering.clear(), "button small", { hidden: true });
  element.append(el("h2", {}, "Compose"), go, line.element, drafted, controls, rest, el("div", { class: "row" }, steer, clear));

  function build() {
    const settings = declared();
    fill(controls, FIRST.map((name) => settings.find((one) => one.name === name)).filter((one) => one && !(one.name === "style" && !(store.state.status.model.styles ?? []).length)));
    update();
  }

  function update() {
    const others = Object.entries(steering.values).filter(([name]) => !FIRST.includes(name));
    rest.textContent = others.length ? `Also set: ${others.map(([name, value]) => `${inWords(name).toLowerCase()} ${value}`).join(", ")}.` : "";
    rest.hidden = !others.length;
    clear.hidden = !Object.keys(steering.values).length;
  }

  function draft() {
    const { plan } = store.state;
    const has = [plan?.form?.some(Boolean) && "form", plan?.chords?.some(Boolean) && "chords"].filter(Boolean);
    drafted.hidden = !has.length;
    drafted.textContent = has.length ? `With the ${has.join(" and ")} written above the roll.` : "";
  }

  bind("n", "Compose a new piece", () => void compose(), "Composing");
  store.on("plan", draft);
  changed = () => (go.disabled = line.running());
  steering.on(update);
  loadSteering().catch(ignore);
  onModel(build);
}
