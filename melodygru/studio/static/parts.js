// The list of parts: instrument, mute, solo, lock, volume. A click on a name selects the part.

import { change, ignore } from "./api.js";
import { isHeard, playNote, USUAL } from "./player.js";
import { say, select, store } from "./store.js";

const svg = (name) => `<svg aria-hidden="true"><use href="#i-${name}"/></svg>`;

let list = null;
let rows = new Map(); // number of a part -> its row

/** A list of instruments by family. */
export function instruments(chosen) {
  const select = document.createElement("select");
  const families = new Map();
  for (const { number, name, family } of store.state.status?.model?.programs ?? []) {
    if (!families.has(family)) families.set(family, document.createElement("optgroup"));
    families.get(family).label = family;
    families.get(family).append(new Option(name, String(number)));
  }
  select.append(...families.values());
  if (chosen) {
    if (![...select.options].some((option) => option.value === String(chosen.number))) select.prepend(new Option(chosen.name, String(chosen.number)));
    select.value = String(chosen.number);
  }
  return select;
}

function toggled(key, part) {
  const next = new Set(store.state[key]);
  if (!next.delete(part)) next.add(part);
  store.set({ [key]: next });
}

function choose(part, event) {
  const { selection } = store.state;
  const parts = new Set(event.ctrlKey || event.metaKey || event.shiftKey ? selection.parts : []);
  if (selection.parts.has(part) && (parts.size || selection.parts.size === 1)) parts.delete(part);
  else parts.add(part);
  select({ bars: selection.bars, parts });
}

function row(part) {
  const item = document.createElement("li");
  item.className = "part";
  item.dataset.part = part.index;
  item.style.setProperty("--colour", `var(--part-${part.index % 12})`);
  item.innerHTML = `
    <div class="line">
      <button type="button" class="name" aria-pressed="false" draggable="true" data-drag="${part.index}"><b></b> <span></span></button>
      <span class="instrument"></span>
    </div>
    <div class="line">
      <button type="button" class="toggle mute" aria-pressed="false" title="Mute">M</button>
      <button type="button" class="toggle solo" aria-pressed="false" title="Solo: hear nothing else">S</button>
      <button type="button" class="toggle lock" aria-pressed="false" title="Lock: a redo and an edit leave it as it is">${svg("unlock")}</button>
      <input type="range" min="0" max="100" value="80">
    </div>`;
  const find = (selector) => item.querySelector(selector);
  find(".name").addEventListener("click", (event) => choose(part.index, event));
  find(".mute").addEventListener("click", () => toggled("mutes", part.index));
  find(".solo").addEventListener("click", () => toggled("solos", part.index));
  find(".lock").addEventListener("click", () => {
    const { locked } = current(part.index);
    change("part", { part: part.index, locked: !locked }).catch(ignore);
  });
  find("input").addEventListener("input", (event) => {
    store.set({ volumes: new Map(store.state.volumes).set(part.index, Number(event.target.value) / 100) });
  });
  find("input").addEventListener("dblclick", () => {
    const volumes = new Map(store.state.volumes);
    volumes.delete(part.index);
    store.set({ volumes });
    refresh();
  });
  return item;
}

const current = (index) => store.state.piece.parts.find((part) => part.index === index);

const instrumentOf = (part) => (part.drums ? "Drums" : (store.state.status?.model?.programs?.find(({ number }) => number === part.program)?.name ?? part.name));

function setInstrument(item, part) {
  const place = item.querySelector(".instrument");
  if (place.dataset.program === String(part.program) && place.childElementCount) return;
  place.dataset.program = part.program;
  const select = part.drums ? Object.assign(document.createElement("select"), { disabled: true }) : instruments({ number: part.program, name: part.name });
  if (part.drums) select.append(new Option("Drum kit", "0"));
  select.title = part.drums ? "Drums stay drums" : "Another instrument";
  select.addEventListener("change", () => {
    const program = Number(select.value);
    change("part", { part: part.index, program }, () => playNote(part.index, 60))
      .then(() => say(`${current(part.index).name} plays it now.`))
      .catch((error) => {
        select.value = String(current(part.index).program);
        ignore(error);
      });
  });
  place.replaceChildren(select);
}

function refresh() {
  const { piece, selection, mutes, solos, volumes } = store.state;
  const parts = piece?.parts ?? [];
  if ([...rows.keys()].join() !== parts.map((part) => part.index).join()) {
    rows = new Map(parts.map((part) => [part.index, row(part)]));
    list.replaceChildren(...rows.values());
  }
  for (const part of parts) {
    const item = rows.get(part.index);
    const find = (selector) => item.querySelector(selector);
    const press = (selector, on, words) => {
      find(selector).setAttribute("aria-pressed", String(Boolean(on)));
      if (words) find(selector).setAttribute("aria-label", `${words} ${part.name}`);
    };
    const instrument = instrumentOf(part);
    find(".name b").textContent = part.name;
    find(".name span").textContent = instrument === part.name ? "" : instrument;
    find(".name").title = instrument === part.name ? part.name : `${part.name}: ${instrument}`;
    item.classList.toggle("chosen", selection.parts.has(part.index));
    item.classList.toggle("silent", !isHeard(part.index));
    press(".name", selection.parts.has(part.index));
    press(".mute", mutes.has(part.index), "Mute");
    press(".solo", solos.has(part.index), "Solo");
    press(".lock", part.locked, "Lock");
    find(".lock use").setAttribute("href", part.locked ? "#i-lock" : "#i-unlock");
    find("input").setAttribute("aria-label", `Volume of ${part.name}`);
    find("input").title = `Volume of ${part.name}`;
    const volume = String(Math.round((volumes.get(part.index) ?? USUAL) * 100));
    if (find("input").value !== volume) find("input").value = volume;
    setInstrument(item, part);
    find(".instrument select").setAttribute("aria-label", `Instrument of ${part.name}`);
  }
  document.getElementById("add-part").disabled = !piece;
}

function addPart() {
  const dialog = document.createElement("dialog");
  dialog.setAttribute("aria-label", "Add a part");
  dialog.innerHTML = `<form method="dialog"><div class="field"><label for="new-program">Instrument of the new part</label></div><div class="row"><button class="button primary" value="add">Add</button><button class="button" value="">Cancel</button></div></form>`;
  const select = instruments();
  select.id = "new-program";
  dialog.querySelector(".field").append(select);
  dialog.addEventListener("close", () => {
    const before = new Set(store.state.piece.parts.map((part) => part.index));
    if (dialog.returnValue === "add") {
      change("parts", { program: Number(select.value) })
        .then((piece) => {
          const added = piece.parts.filter((part) => !before.has(part.index)).map((part) => part.index);
          select({ bars: store.state.selection.bars, parts: new Set(added) });
          say("The part is empty: draw notes, or redo its bars.");
        })
        .catch(ignore);
    }
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
}

export function mountParts(element) {
  list = element;
  document.getElementById("add-part").addEventListener("click", addPart);
  store.on(["piece", "selection", "mutes", "solos", "volumes", "status"], refresh);
  refresh();
}
