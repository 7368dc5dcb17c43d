// The settings that steer: values by name, kept by the server in the project folder, and a control for each as it is
// declared there. A setting without a value is left to the model.

import { get, ignore, post } from "../api.js";
import { store } from "../store.js";
import { choice, el } from "./dom.js";

// Where a declared range is wider than anyone wants to drag through: [from, to, step] of the slider. The number beside it
// takes the whole range.
const SLIDERS = {
  temperature: [0, 2, 0.05],
  rhythm_temperature: [0, 2, 0.05],
  pitch_temperature: [0, 2, 0.05],
  top_p: [0.05, 1, 0.01],
  min_p: [0, 0.5, 0.01],
  density: [0.25, 12, 0.25],
  chord_bias: [0, 10, 0.1],
  qpm: [30, 240, 1],
};
const WORDS = { qpm: "Tempo", programs: "Line-up", top_p: "Top-p", min_p: "Min-p", top_k: "Top-k", max_copy: "Longest copy" };

let revision = 0;
let queue = Promise.resolve();

/** A setting's name in words. */
export function inWords(name) {
  const words = WORDS[name] ?? name.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

/** Values by name, {values, set, clear, put, on}, that controls hold and show. Of the names in `oneOf` one has a value at
 *  a time; changed() is called after what a person changes. */
export function holder(values = {}, oneOf = [], changed = () => {}) {
  const followers = new Set();
  const held = {
    values,

    /** Sets a value; null leaves the setting to the model. */
    set(name, value) {
      const next = { ...held.values };
      if (value === null || value === "" || value === undefined) delete next[name];
      else next[name] = value;
      if (oneOf.includes(name) && name in next) for (const other of oneOf) if (other !== name) delete next[other];
      held.put(next);
      changed();
    },

    clear() {
      held.put({});
      changed();
    },

    /** Puts other values in place of those held. */
    put(all) {
      held.values = all;
      followers.forEach((fn) => fn());
    },

    /** Calls fn after each change. Returns what ends that. */
    on(fn) {
      followers.add(fn);
      return () => followers.delete(fn);
    },
  };
  return held;
}

/** The values that steer, kept by the server. */
export const steering = holder({}, ["bars", "seconds", "notes"], save);

/** Reads them from the server. */
export async function loadSteering() {
  const answer = await get("/api/settings");
  ({ revision } = answer);
  steering.put(answer.settings ?? {});
}

function save() {
  queue = queue.then(async () => {
    try {
      ({ revision } = await post("/api/settings", { revision, settings: steering.values }));
    } catch (error) {
      // Another tab was faster: what it holds is what is kept.
      if (error.status === 409) await loadSteering();
      else throw error;
    }
  }).catch(ignore);
}

/** The declared settings of `generate`, or of `redo`. */
export const declared = (of = "settings") => store.state.status?.[of] ?? [];

/** Calls fn as soon as there is a model, and whenever it is another. */
export function onModel(fn) {
  let model = null;
  const follow = () => {
    const { status } = store.state;
    if (!status || model === status.model?.path) return;
    model = status.model?.path;
    fn();
  };
  store.on("status", follow);
  follow();
}

function rangeInWords({ low, high, unit }) {
  const has = (bound) => bound !== null && bound !== undefined;
  const words = (bound) => bound.toLocaleString("en");
  const numbers = has(low) && has(high) ? `${words(low)} to ${words(high)}` : has(low) ? `${words(low)} or more` : has(high) ? `at most ${words(high)}` : "";
  return [numbers, unit].filter(Boolean).join(" ");
}

/** Help, range and default of a setting, as its hint. */
function about(setting) {
  const beside = [rangeInWords(setting), setting.default_words && `default: ${setting.default_words}`].filter(Boolean);
  return `${setting.help.replaceAll(/--([a-z-]+)/g, (_, name) => inWords(name.replaceAll("-", "_")).toLowerCase())}${beside.length ? ` (${beside.join("; ")})` : ""}`;
}

/** What a setting's choices are, its own or those of the model; null where anything may be written. */
function choicesOf(setting) {
  if (setting.choices?.length) return setting.choices;
  const model = store.state.status?.model;
  if (setting.name === "style") return model?.styles ?? [];
  return null;
}

/** What may be written, as suggestions. */
function suggestionsOf(setting) {
  const model = store.state.status?.model;
  if (setting.name === "metre") return (model?.metres ?? []).map((metre) => (Array.isArray(metre) ? metre.join("/") : metre));
  if (setting.name === "key") return ["C:maj", "G:maj", "D:maj", "F:maj", "Bb:maj", "A:minor", "E:minor", "D:minor", "D:dorian", "E:blues"];
  if (setting.name === "range") return ["C2:C5", "C3:C6", "C4:C7"];
  if (setting.name === "chords") return ["C | Am | F G | C", "Am | F | C | G", "Dm7 | G7 | Cmaj7"];
  return [];
}

let controls = 0;

/** Fills an element with the controls of settings, instead of those that it had. */
export function fill(element, settings, options = {}) {
  element.ends?.forEach((end) => end());
  const made = settings.map((setting) => control(setting, options));
  element.ends = made.map(({ end }) => end);
  element.replaceChildren(...made.map((one) => one.element));
}

/** A control of a setting that holds and shows `values` of a holder. With `seen` its help stands
 *  below it, else it is spoken and shown when pointed at. Returns {element, end}. */
function control(setting, { held = steering, seen = false } = {}) {
  const id = `setting-${++controls}-${setting.name}`;
  const hint = el("span", { id: `${id}-hint`, class: seen ? "hint" : "unseen" }, about(setting));
  const label = el("label", { for: id }, inWords(setting.name));
  const attributes = { id, "aria-describedby": hint.id, "data-setting": setting.name };
  const reset = el("button", { type: "button", class: "reset", "aria-label": `${inWords(setting.name)}: leave it to the model`, title: "Leave it to the model", onclick: () => held.set(setting.name, null) }, "×");
  const unset = setting.default_words ?? (setting.default ?? "");
  let inputs, show;

  const choices = choicesOf(setting);
  if (setting.type === "bool") {
    const box = el("input", { ...attributes, type: "checkbox", onchange: () => held.set(setting.name, box.checked === setting.default ? null : box.checked) });
    show = (value) => (box.checked = value ?? setting.default ?? false);
    inputs = [box];
  } else if (choices) {
    const list = choice([["", setting.name === "style" ? "any" : String(unset || "any")], ...choices], null, (value) => held.set(setting.name, value), attributes);
    show = (value) => {
      if (value && ![...list.options].some((option) => option.value === String(value))) list.append(el("option", { value }, value));
      list.value = value ?? "";
    };
    inputs = [list];
  } else if (setting.type === "int" || setting.type === "float") {
    const [low, high, step] = SLIDERS[setting.name] ?? [setting.low, setting.high, setting.type === "int" ? 1 : 0.01];
    const number = el("input", { ...attributes, type: "number", inputMode: "decimal", step: setting.type === "int" ? 1 : "any", placeholder: setting.default ?? "–", onchange: () => held.set(setting.name, number.value === "" ? null : Number(number.value)) });
    if (setting.low !== null && setting.low !== undefined) number.min = setting.low;
    if (setting.high !== null && setting.high !== undefined) number.max = setting.high;
    const slides = typeof low === "number" && typeof high === "number" && (setting.name in SLIDERS || high - low <= 500);
    const slider = slides && el("input", { type: "range", min: low, max: high, step, "aria-label": inWords(setting.name), oninput: () => (number.value = slider.value), onchange: () => held.set(setting.name, Number(slider.value)) });
    show = (value) => {
      number.value = value ?? "";
      if (slider) slider.value = value ?? setting.default ?? (low + high) / 2;
      if (slider) slider.classList.toggle("unset", value === undefined);
    };
    inputs = [slider, number, setting.unit && seen ? el("span", { class: "unit" }, setting.unit) : null];
  } else {
    const suggestions = suggestionsOf(setting);
    const text = el("input", { ...attributes, type: "text", autocomplete: "off", spellcheck: false, placeholder: (!seen && setting.default_words) || (suggestions.length ? `such as ${suggestions[0]}` : ""), onchange: () => held.set(setting.name, text.value.trim()) });
    const list = suggestions.length ? el("datalist", { id: `${id}-list` }, suggestions.map((value) => el("option", { value }))) : null;
    if (list) text.setAttribute("list", list.id);
    show = (value) => (text.value = value ?? "");
    inputs = [text, list, setting.name === "programs" || setting.name === "add" ? instruments(text) : null];
  }

  const line = el("div", { class: "line" }, inputs, reset);
  const element = setting.type === "bool"
    ? el("div", { class: "field check", title: seen ? "" : about(setting) }, el("div", { class: "line" }, inputs, label, reset), hint)
    : el("div", { class: "field", title: seen ? "" : about(setting) }, label, line, hint);
  const update = () => {
    const value = held.values[setting.name];
    // What is being written stays, whatever else is set meanwhile.
    const written = inputs.find((input) => input === document.activeElement && ["text", "number"].includes(input.type));
    const text = written?.value;
    show(value);
    if (written && written.value !== text) written.value = text;
    reset.hidden = value === undefined;
    element.classList.toggle("is-set", value !== undefined);
  };
  update();
  return { element, end: held.on(update) };
}

/** A list that adds what is chosen to a text of instruments with commas between them. */
export function instruments(text) {
  const { families = [], model } = store.state.status ?? {};
  const programs = (model?.programs ?? []).filter(({ known }) => known);
  const list = el("select", { class: "add", "aria-label": "Add an instrument", title: "Add an instrument" },
    el("option", { value: "" }, "+"),
    el("optgroup", { label: "Families" }, families.map((name) => el("option", { value: name }, name))),
    programs.length ? el("optgroup", { label: "Instruments of this model" }, programs.map(({ number, name }) => el("option", { value: number }, name))) : null);
  list.addEventListener("change", () => {
    const held = text.value.split(",").map((word) => word.trim()).filter(Boolean);
    const chosen = list.selectedOptions[0];
    // By name where the name is one word of the list, so that it can be read.
    if (list.value) text.value = [...held, /,/.test(chosen.textContent) ? list.value : chosen.textContent.toLowerCase()].join(", ");
    list.value = "";
    text.dispatchEvent(new Event("change"));
  });
  return list;
}
