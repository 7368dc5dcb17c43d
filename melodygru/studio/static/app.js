// The page: puts the modules together, and holds the bar on top, the tabs, and what is said.

import { get, ignore, open } from "./api.js";
import { mountEdit, toggleLoop } from "./edit.js";
import { bind, bindings, mountKeys } from "./keys.js";
import { mountParts } from "./parts.js";
import { mountPlayer, seek, setMasterVolume, stop, timeline, toggle } from "./player.js";
import { mountPointer } from "./pointer.js";
import { mountRoll } from "./roll.js";
import { mountScore } from "./score.js";
import { barOf, say, shown, store } from "./store.js";

const TABS = [
  ["compose", "Compose"],
  ["redo", "Redo"],
  ["steer", "Steer"],
  ["files", "Files"],
  ["trust", "Trust"],
  ["train", "Train"],
  ["playin", "Play in"],
];
const NOTICE_MS = 3500;
const LAST = "melodygru-piece"; // the piece that was open, for a reload

const byId = (id) => document.getElementById(id);

// --- what is said ---

function mountMessages() {
  const [error, notice] = [byId("error"), byId("notice")];
  error.querySelector("button").addEventListener("click", () => store.set({ error: null }));
  store.on("error", (sentence) => {
    error.hidden = !sentence;
    error.querySelector("span").textContent = sentence ?? "";
  });
  let timer = 0;
  store.on("notice", (sentence) => {
    if (!sentence) return;
    clearTimeout(timer);
    notice.textContent = sentence;
    timer = setTimeout(() => (notice.textContent = ""), NOTICE_MS);
  });
}

// --- the bar on top ---

function clock(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function mountPosition() {
  const [bars, time] = byId("where").children;
  let line = null;
  let lineOf = null;
  const show = () => {
    const piece = shown();
    if (!piece) return;
    if (lineOf !== piece) [line, lineOf] = [timeline(piece), piece];
    const { position } = store.state;
    const bar = barOf(piece, position);
    let beat = 1;
    for (const tick of piece.beats) if (tick > piece.bars[bar] && tick <= position && tick < (piece.bars[bar + 1] ?? Infinity)) beat++;
    const [words, seconds] = [`${bar + 1}.${beat}`, clock(line.secondOf(position) / store.state.tempo)];
    if (bars.textContent !== words) bars.textContent = words;
    if (time.textContent !== seconds) time.textContent = seconds;
  };
  store.on(["position", "piece", "preview", "growing", "tempo"], show);
}

function mountTransport() {
  const button = byId("play");
  button.addEventListener("click", toggle);
  store.on("playing", (playing) => {
    button.setAttribute("aria-label", playing ? "Stop" : "Play");
    button.querySelector("use").setAttribute("href", playing ? "#i-stop" : "#i-play");
  });
  byId("to-start").addEventListener("click", () => seek(0));
  byId("loop").addEventListener("click", toggleLoop);
  store.on("loop", (loop) => byId("loop").setAttribute("aria-pressed", String(Boolean(loop))));

  const slider = byId("tempo");
  const showTempo = () => {
    const { piece, tempo } = store.state;
    slider.value = String(Math.round(tempo * 100));
    const qpm = piece?.tempos[0]?.[1];
    byId("qpm").textContent = qpm ? `${Math.round(qpm * tempo)} qpm` : "–";
    slider.setAttribute("aria-valuetext", qpm ? `${Math.round(qpm * tempo)} quarter notes per minute` : "");
  };
  slider.addEventListener("input", () => {
    const percent = Number(slider.value);
    store.set({ tempo: Math.abs(percent - 100) < 3 ? 1 : percent / 100 });
  });
  byId("qpm").addEventListener("click", () => store.set({ tempo: 1 }));
  store.on(["tempo", "piece"], showTempo);

  byId("volume").addEventListener("input", (event) => setMasterVolume(Number(event.target.value) / 100));
  byId("sound").addEventListener("change", (event) => store.set({ sound: event.target.value }));
  store.on("sound", (sound) => (byId("sound").value = sound));

  bind("Space", "Play, stop", toggle, "Playing");
  bind("l", "Loop the selected bars, or the whole piece", toggleLoop, "Playing");
  bind("Home", "To the start", () => seek(0), "Playing");
  bind("End", "To the end", () => store.state.piece && seek(store.state.piece.length), "Playing");
}

function mountViews() {
  const buttons = [...byId("views").querySelectorAll("button")];
  const choose = (view) => store.set({ view });
  for (const button of buttons) button.addEventListener("click", () => choose(button.dataset.view));
  byId("views").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const at = (buttons.findIndex((button) => button.dataset.view === store.state.view) + step + buttons.length) % buttons.length;
    choose(buttons[at].dataset.view);
    buttons[at].focus();
  });
  store.on("view", (view) => {
    for (const button of buttons) {
      button.setAttribute("aria-checked", String(button.dataset.view === view));
      button.tabIndex = button.dataset.view === view ? 0 : -1;
    }
  });
  store.on("status", (status) => {
    byId("views").hidden = !status?.verovio;
    if (!status?.verovio) choose("roll");
  });
}

function mountPieces() {
  const list = byId("pieces");
  list.addEventListener("change", () => open(list.value).catch(ignore));
  store.on(["pieces", "piece"], () => {
    const { pieces, piece } = store.state;
    const known = pieces.some(({ id }) => id === piece?.id);
    const options = pieces.map(({ id, name }) => new Option(name, id));
    if (piece && !known) options.unshift(new Option(piece.name, piece.id));
    if (!options.length) options.push(new Option("No piece yet", ""));
    list.replaceChildren(...options);
    list.disabled = !pieces.length;
    if (piece) list.value = piece.id;
  });
  store.on("piece", (piece) => {
    document.title = piece ? `${piece.name} – melodygru studio` : "melodygru studio";
    if (piece) sessionStorage.setItem(LAST, piece.id);
  });
}

// --- the tabs ---

/** Stands for a panel that couldn't be loaded: the rest of the page goes on. */
function absent(error) {
  reportError(error);
  return { mount: (panel) => (panel.textContent = "This panel could not be loaded. Reload the page.") };
}

async function mountTabs() {
  const [tabs, panels, side] = [byId("tabs"), byId("panels"), document.querySelector(".side")];
  const loaded = await Promise.all(TABS.map(([id]) => import(`./panels/${id}.js`).catch(absent)));
  const show = (id, closed = false) => {
    side.classList.toggle("closed", closed);
    for (const [name] of TABS) {
      byId(`panel-${name}`).hidden = name !== id;
      byId(`tab-${name}`).setAttribute("aria-selected", String(name === id && !closed));
      byId(`tab-${name}`).tabIndex = name === id ? 0 : -1;
    }
  };
  /** A press on the tab of the open panel closes it, and opens it again. */
  const choose = (id) => {
    if (store.state.panel === id) show(id, !side.classList.contains("closed"));
    else store.set({ panel: id });
  };
  TABS.forEach(([id, name], at) => {
    const tab = document.createElement("button");
    Object.assign(tab, { type: "button", className: "tab", id: `tab-${id}` });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `panel-${id}`);
    tab.innerHTML = `<svg aria-hidden="true"><use href="#i-${id}"/></svg><span>${name}</span>`;
    tab.addEventListener("click", () => choose(id));
    tabs.append(tab);
    const panel = document.createElement("section");
    Object.assign(panel, { className: "panel", id: `panel-${id}` });
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", `tab-${id}`);
    panels.append(panel);
    try {
      loaded[at].mount(panel);
    } catch (error) {
      absent(error).mount(panel);
    }
  });
  tabs.addEventListener("keydown", (event) => {
    const names = TABS.map(([id]) => id);
    const at = names.indexOf(store.state.panel);
    const to = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: names.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    store.set({ panel: names[(to + names.length) % names.length] });
    byId(`tab-${store.state.panel}`).focus();
  });
  store.on("panel", (id) => show(id));
  show(store.state.panel);
  return Object.fromEntries(TABS.map(([id], at) => [id, loaded[at]]));
}

// --- all keys ---

const NAMES = { Space: "Space", ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Control: "Ctrl", Escape: "Esc", Delete: "Del", PageUp: "PgUp", PageDown: "PgDn" };

function mountHelp() {
  const dialog = byId("keys");
  const show = () => {
    const sections = new Map();
    for (const binding of bindings) sections.set(binding.section || "More", [...(sections.get(binding.section || "More") ?? []), binding]);
    const columns = [...sections].map(([title, list]) => {
      const section = document.createElement("section");
      section.append(Object.assign(document.createElement("h3"), { textContent: title }));
      const entries = document.createElement("dl");
      for (const { keys, words } of list.filter((binding) => binding.words)) {
        const key = document.createElement("dd");
        const [first] = keys;
        key.append(Object.assign(document.createElement("kbd"), { textContent: first.split("+").map((name) => NAMES[name] ?? (name.length === 1 ? name.toUpperCase() : name)).join(" + ") || "+" }));
        entries.append(Object.assign(document.createElement("dt"), { textContent: words }), key);
      }
      section.append(entries);
      return section;
    });
    dialog.querySelector(".columns").replaceChildren(...columns);
    dialog.showModal();
  };
  dialog.querySelector("button").addEventListener("click", () => dialog.close());
  byId("help").addEventListener("click", show);
  bind("?", "These keys", show, "View");
}

// --- the empty page ---

function mountEmpty(compose) {
  const show = () => (byId("empty").hidden = Boolean(shown()) || !store.state.status);
  store.on(["piece", "growing", "preview", "status"], show);
  byId("first").addEventListener("click", async () => {
    byId("first").disabled = true;
    byId("empty-words").textContent = "Composing …";
    try {
      await compose();
    } catch (error) {
      ignore(error);
    } finally {
      byId("first").disabled = false;
      byId("empty-words").textContent = "The model composes a piece in a few seconds.";
    }
  });
  const enable = () => {
    const { piece, lost } = store.state;
    for (const id of ["play", "to-start", "loop"]) byId(id).disabled = !shown() || lost;
    for (const id of ["quantise", "copy", "paste", "duplicate", "delete", "surprise", "zoom-in", "zoom-out", "zoom-fit"]) byId(id).disabled = !piece;
  };
  store.on(["piece", "growing", "preview", "lost"], enable);
  enable();
}

async function start() {
  mountMessages();
  mountKeys();
  mountTransport();
  mountPosition();
  mountViews();
  mountPieces();
  mountRoll(byId("roll"));
  mountPointer(byId("roll"));
  mountPlayer();
  mountScore(byId("score"));
  mountEdit();
  mountHelp();
  const answered = get("/api/status");
  const panels = await mountTabs();
  mountParts(byId("parts"));
  mountEmpty(panels.compose.compose);
  const status = await answered;
  store.set({ status, pieces: status.pieces });
  const last = sessionStorage.getItem(LAST);
  const first = status.pieces.find(({ id }) => id === last) ?? status.pieces[0];
  if (first) await open(first.id);
  document.body.dataset.ready = "true";
}

// Closing the tab while it plays needs no question: all is saved. The sound ends with it.
addEventListener("pagehide", stop);
store.on("lost", (lost) => lost && stop());
start().catch((error) => {
  ignore(error);
  say("The page could not be set up.");
});
