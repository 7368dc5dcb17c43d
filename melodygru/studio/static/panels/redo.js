// Redo: what is selected is composed again; four candidates are heard in place, one is kept.

import { change, ignore, post } from "../api.js";
import { bind } from "../keys.js";
import { play } from "../player.js";
import { barsInWords, complain, say, scope, store } from "../store.js";
import { chordsInWords } from "./compose.js";
import { button, choice, counted, el, field, icon, jobLine } from "./dom.js";
import { declared, fill, holder, instruments, inWords, onModel, steering } from "./settings.js";

const KINDS = {
  again: ["Again", "New notes for what is selected."],
  vary: ["Vary", "The rhythm stays; a share of the notes gets new pitches, lengths or velocities."],
  add: ["Accompany", "Instruments join; what is there stays as it is."],
  go: ["Continue", "New bars after the end."],
  loop: ["Loop", "The last bar leads back to the first."],
};
const FIELDS = { pitch: "Pitches", duration: "Lengths", velocity: "Velocities" };
// What steers new pieces and concerns the notes of a redo as well; chords come from the lane above the roll.
const SHARED = ["temperature", "rhythm_temperature", "pitch_temperature", "top_k", "top_p", "min_p", "key", "scale", "range", "max_polyphony", "density", "style"];

const line = jobLine(() => update());
const form = { kind: "again", fields: new Set(["pitch"]), share: 0.5, which: "chance", add: "", bars: 8, number: 4 };
const own = holder(); // settings of redo alone
let update = () => {};
let from = 0; // tick from which candidates are heard

const numbers = (parts) => parts.map((part) => part + 1).join(",");

/** What is asked of the server, or the sentence why nothing can be. */
function request() {
  const { piece, plan } = store.state;
  const known = new Set(declared("redo_settings").map(({ name }) => name));
  const settings = { num_outputs: form.number, ...own.values };
  for (const name of SHARED) if (name in steering.values && known.has(name)) settings[name] = steering.values[name];
  const { bars, parts } = scope();
  if (form.kind === "go") return { path: "continue", body: { bars: form.bars, settings } };
  if (form.kind === "add") {
    if (!form.add.trim()) return { refused: "Name the instruments that join, piano or bass for instance." };
    settings.add = form.add;
  } else if (parts.length) settings.parts = numbers(parts); // the server leaves those out that are locked
  if (bars) settings.bars = bars[0] === bars[1] ? `${bars[0] + 1}` : `${bars[0] + 1}:${bars[1] + 1}`;
  if (form.kind === "again" && !bars && !parts.length) return { refused: "Select what to redo first: drag over bars or notes, or click a part's name." };
  if (form.kind === "vary") {
    if (!form.fields.size) return { refused: "Choose what of the notes gets new." };
    settings.fields = Object.keys(FIELDS).filter((name) => form.fields.has(name)).join(",");
    if (form.which === "chance") settings.keep = Math.round((1 - form.share) * 100) / 100;
    else settings.surprising = Math.max(1, Math.round(form.share * 100));
  }
  if (form.kind === "loop") settings.loop = true;
  const wished = plan?.chords?.slice(bars ? bars[0] : 0, bars ? bars[1] + 1 : undefined);
  if (wished?.some(Boolean) && known.has("chords")) settings.chords = chordsInWords(wished);
  return { path: "redo", body: { settings }, first: bars ? bars[0] : form.kind === "loop" ? piece.bars.length - 2 : 0 };
}

/** Composes what is selected again, as the panel says. */
export async function redo() {
  const { piece } = store.state;
  if (!piece || line.running()) return;
  const { refused, path, body, first } = request();
  if (refused) return complain(refused);
  discard();
  store.set({ panel: "redo" });
  const { id, revision } = piece;
  const answer = await line.run(() => post(`/api/pieces/${id}/${path}`, { revision, ...body }), "Composing …");
  if (!answer?.candidates) return;
  const now = store.state.piece;
  if (now?.id !== id || now.revision !== revision) return say("The piece has changed meanwhile: redo it again.");
  if (!answer.candidates.length) return say("Nothing else was found: select more, or let the temperature rise.");
  // A bar before, so that they are heard in their place.
  from = piece.bars[Math.max(0, (first ?? piece.bars.length - 1) - 1)] ?? 0;
  store.set({ candidates: { job: answer.job, revision, list: answer.candidates }, candidate: 0 });
  hear(answer.candidates[0].number);
  say(`${counted(answer.candidates.length, "candidate")}: keys 1 to ${answer.candidates.length} let you hear them, 0 the original, Enter keeps.`);
}

/** Lets candidate `number` be seen and heard in its place; 0 is the original. */
function hear(number) {
  const { candidates, playing } = store.state;
  if (!candidates || (number && !candidates.list.some((one) => one.number === number))) return false;
  store.set({ candidate: number });
  if (!playing) play(from);
  return true;
}

/** Keeps the candidate that is heard. */
async function keep() {
  const { candidates, candidate } = store.state;
  if (!candidates) return;
  if (!candidate) return discard();
  try {
    await change("keep", { job: candidates.job, number: candidate });
    store.set({ candidates: null, candidate: 0 });
    say(`Candidate ${candidate} is kept. Undo brings the original back.`);
  } catch (error) {
    ignore(error);
  }
}

/** Back to the original. */
function discard() {
  if (store.state.candidates) store.set({ candidates: null, candidate: 0 });
}

/** Opens the panel with one of its kinds chosen. */
export function choose(kind, values = {}) {
  Object.assign(form, values, { kind });
  store.set({ panel: "redo" });
  update();
}

function bindKeys() {
  bind("r", "Redo the selection", () => {
    if (["go", "add"].includes(form.kind) && (scope().bars || scope().parts.length)) choose("again");
    redo();
  }, "Composing");
  for (const number of [1, 2, 3, 4]) bind(String(number), `Hear candidate ${number}`, () => hear(number), "Composing");
  bind("0", "Hear the original", () => hear(0), "Composing");
  bind("Enter", "Keep the candidate that is heard", () => (store.state.candidates ? void keep() : false), "Composing");
  bind("Escape", "Discard the candidates", () => {
    if (line.cancel()) return;
    if (!store.state.candidates) return false;
    discard();
    say("The candidates are gone; the piece is as it was.");
  }, "Composing");
}

function card(one) {
  const { candidate } = store.state;
  const on = candidate === one.number;
  const nats = typeof one.nats === "number" && `${one.nats.toFixed(2)} nats a note${typeof one.before === "number" ? `, was ${one.before.toFixed(2)}` : ""}`;
  const share = typeof one.likeness === "number" && `${Math.round(one.likeness * 100)}% of the notes as they were`;
  return el("li", { class: `candidate${on ? " on" : ""}` },
    el("button", { type: "button", class: "hear", "aria-pressed": on, title: one.reason, onclick: () => hear(one.number), "data-candidate": one.number },
      el("kbd", {}, String(one.number)),
      el("span", { class: "words" },
        el("b", {}, `Candidate ${one.number}`, one.rank === 1 ? el("span", { class: "best" }, " likeliest") : ""),
        nats && el("span", { class: "hint" }, nats),
        share && el("span", { class: "hint" }, share),
        share || nats ? null : el("span", { class: "hint" }, one.reason))));
}

export function mount(element) {
  const kinds = el("div", { class: "kinds", role: "radiogroup", "aria-label": "What to do" }, Object.entries(KINDS).map(([kind, [words, help]]) =>
    el("label", { title: help }, el("input", { type: "radio", name: "redo-kind", value: kind, onchange: () => choose(kind) }), el("span", {}, words))));
  const help = el("p", { class: "hint" });
  const what = el("p", { class: "what", "aria-live": "polite" });
  const options = el("div", { class: "options" });
  const go = button([icon("redo"), el("span", {}, "Redo"), el("kbd", {}, "R")], redo, "button primary wide", { id: "redo" });
  const list = el("ul", { class: "list" });
  const original = el("button", { type: "button", class: "hear", onclick: () => hear(0) }, el("kbd", {}, "0"), el("span", { class: "words" }, el("b", {}, "The original")));
  const heard = el("section", { class: "candidates", hidden: true, "aria-label": "Candidates" }, list,
    el("p", { class: "hint" }, "Nats: how much the notes surprise the model; fewer are likelier."),
    el("div", { class: "row" }, button(["Keep ", el("kbd", {}, "Enter")], keep, "button primary", { id: "keep" }), button(["Discard ", el("kbd", {}, "Esc")], discard)));
  const more = el("div", { class: "controls" });
  const shared = el("p", { class: "hint" });
  element.append(el("h2", {}, "Redo"), kinds, help, what, options, go, line.element, heard,
    el("details", { class: "section" }, el("summary", {}, "More"), shared, more));

  function optionsOf() {
    if (form.kind === "vary") {
      const slider = el("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: form.share });
      const shown = el("output", {}, `${Math.round(form.share * 100)}%`);
      slider.addEventListener("input", () => {
        form.share = Number(slider.value);
        shown.textContent = `${Math.round(form.share * 100)}%`;
      });
      const which = choice([["chance", "drawn by chance"], ["surprising", "that surprise most"]], form.which, (value) => (form.which = value), { "aria-label": "Which notes" });
      const boxes = Object.entries(FIELDS).map(([name, words]) => el("label", { class: "tick" },
        el("input", { type: "checkbox", checked: form.fields.has(name), value: name, onchange: (event) => form.fields[event.target.checked ? "add" : "delete"](name) }), words));
      return [el("div", { class: "row", role: "group", "aria-label": "What gets new" }, boxes), field("Notes that change", slider), el("div", { class: "row" }, shown, which)];
    }
    if (form.kind === "add") {
      const text = el("input", { type: "text", value: form.add, placeholder: "piano, bass, drums", autocomplete: "off", oninput: () => (form.add = text.value), onchange: () => (form.add = text.value) });
      return [field("Instruments that join", text, "Names, families or program numbers, with commas.", instruments(text))];
    }
    if (form.kind === "go") {
      const bars = el("input", { type: "number", min: 1, max: 1000, value: form.bars, onchange: () => (form.bars = Math.max(1, Number(bars.value) || 1)) });
      return [field("New bars", bars)];
    }
    return [];
  }

  function scopeInWords() {
    const { piece } = store.state;
    if (!piece) return "Open or compose a piece first.";
    const { bars, parts } = scope();
    if (form.kind === "go") return `After bar ${piece.bars.length - 1}`;
    const where = bars ? barsInWords(bars) : form.kind === "loop" ? "The last bar" : "All bars";
    if (form.kind === "add") return where;
    const names = parts.map((part) => piece.parts.find(({ index }) => index === part)?.name).filter(Boolean);
    const locked = piece.parts.filter((part) => part.locked).length;
    if (form.kind === "again" && !bars && !parts.length) return "Nothing is selected: drag over bars or notes, or click a part.";
    return `${where} of ${names.length ? names.join(", ") : locked ? "the parts that aren't locked" : "all parts"}`;
  }

  let drawn = null;
  update = () => {
    for (const input of kinds.querySelectorAll("input")) input.checked = input.value === form.kind;
    help.textContent = KINDS[form.kind][1];
    what.textContent = scopeInWords();
    go.children[1].textContent = KINDS[form.kind][0] === "Again" ? "Redo" : KINDS[form.kind][0];
    go.disabled = !store.state.piece || line.running();
    if (drawn !== form.kind) options.replaceChildren(...optionsOf());
    drawn = form.kind;
    const used = SHARED.filter((name) => name in steering.values);
    shared.textContent = used.length ? `From Steer: ${used.map((name) => `${inWords(name).toLowerCase()} ${steering.values[name]}`).join(", ")}.` : "Temperature, key and the rest under Steer hold here, too.";
  };

  function show() {
    const { candidates, candidate } = store.state;
    const focused = heard.contains(document.activeElement) && document.activeElement.dataset.candidate;
    heard.hidden = !candidates;
    if (!candidates) return list.replaceChildren();
    original.setAttribute("aria-pressed", candidate === 0);
    list.replaceChildren(el("li", { class: `candidate${candidate === 0 ? " on" : ""}` }, original), ...candidates.list.map(card));
    if (focused) list.querySelector(`[data-candidate="${focused}"]`)?.focus();
  }

  function build() {
    const alone = declared("redo_settings").filter(({ name }) => ["particles", "seed"].includes(name));
    fill(more, alone, { held: own });
    more.prepend(field("Candidates", choice([1, 2, 3, 4], form.number, (value) => (form.number = Number(value))), "How many are composed."));
  }

  store.on(["piece", "selection"], () => update());
  store.on(["candidates", "candidate"], show);
  steering.on(() => update());
  bindKeys();
  onModel(build);
  update();
  show();
}
