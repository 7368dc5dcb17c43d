// Files: the pieces of the project; what is brought in and taken out.

import { bytes, ignore, open, post, refresh, remove, upload } from "../api.js";
import { complain, say, scope, store } from "../store.js";
import { button, choice, clock, counted, el, field, icon } from "./dom.js";
import { fileName, mountDragIn, mountDragOut, taken } from "./drag.js";

const FORMATS = {
  mid: ["MIDI", "mid", "audio/midi"],
  stems: ["Stems: a MIDI file for each part", "zip", "application/zip"],
  wav: ["Sound: WAV", "wav", "audio/wav"],
  flac: ["Sound: FLAC, half the size", "flac", "audio/flac"],
  musicxml: ["Sheet music: MusicXML", "musicxml", "application/xml"],
  png: ["Picture: PNG", "png", "image/png"],
  svg: ["Picture: SVG", "svg", "image/svg+xml"],
  html: ["Page to share: roll and player in one file", "html", "text/html"],
};
const ORIGINS = { composed: "composed", brought: "brought in", recorded: "played in" };

/** Brings files in and opens the first. */
async function bring(files) {
  say(files.length === 1 ? `Reading ${files[0].name} …` : `Reading ${counted(files.length, "file")} …`);
  try {
    const pieces = await upload(files);
    if (!pieces.length) return;
    await open(pieces[0].id);
    say(pieces.length === 1 ? `${pieces[0].name} is here.` : `${counted(pieces.length, "piece")} are here.`);
  } catch (error) {
    ignore(error);
  }
}

/** Hands bytes to the browser as a file. */
function save(content, name, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Takes a piece, a part or the selection out as a file. */
async function take(what, format) {
  const found = taken(what);
  if (!found) return complain(what === "selection" ? "Nothing is selected: drag over bars or notes, or click a part’s name, then take it out." : "Open or compose a piece first.");
  const [, suffix, type] = FORMATS[format] ?? [format, format, "application/octet-stream"];
  const content = await bytes(`/api/pieces/${found.id}/export`, { format, ...found.query });
  save(content, `${fileName(found.name)}.${suffix}`, type);
  say(`${fileName(found.name)}.${suffix} is saved.`);
}

export function mount(element) {
  const input = el("input", { type: "file", multiple: true, hidden: true, id: "bring" });
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) bring(files);
  });
  const list = el("ul", { class: "list pieces-list", id: "piece-list" });
  const none = el("p", { class: "hint" }, "Nothing yet: compose a piece, or drop MIDI files anywhere on this page.");
  const gone = el("div", { class: "card row", hidden: true, role: "status" });

  let renaming = false; // one is being written: the list waits

  function item(piece) {
    const isOpen = store.state.piece?.id === piece.id;
    const details = [counted(piece.bars, "bar"), clock(piece.seconds), ORIGINS[piece.origin]].filter(Boolean).join(" · ");
    const name = el("button", { type: "button", class: "name", "aria-current": isOpen ? "true" : "false", onclick: () => open(piece.id).catch(ignore), title: "Open; drag it out to take it along" },
      el("b", {}, piece.name), el("span", { class: "hint" }, details));
    const row = el("li", { class: isOpen ? "open" : "", draggable: true, "data-piece": piece.id }, name,
      el("span", { class: "tools-of" },
        act("draw", `Rename ${piece.name}`, () => rename(row, piece)),
        act("copy", `Copy ${piece.name}`, () => copy(piece)),
        act("delete", `Delete ${piece.name}`, () => drop(piece))));
    return row;
  }

  const act = (name, words, onclick) => el("button", { type: "button", class: "icon-button small", "aria-label": words, title: words, onclick }, icon(name));

  function rename(row, piece) {
    const text = el("input", { type: "text", value: piece.name, "aria-label": "New name", maxLength: 100 });
    renaming = true;
    const end = async (wanted) => {
      if (!renaming) return;
      renaming = false;
      const name = text.value.trim();
      if (wanted && name && name !== piece.name) {
        try {
          await post(`/api/pieces/${piece.id}/rename`, { name });
          if (store.state.piece?.id === piece.id) await open(piece.id);
          await refresh();
        } catch (error) {
          ignore(error);
        }
      }
      show();
    };
    text.addEventListener("keydown", (event) => {
      if (event.key === "Enter") end(true);
      if (event.key === "Escape") end(false);
    });
    text.addEventListener("blur", () => end(true));
    row.replaceChildren(text);
    row.draggable = false;
    text.focus();
    text.select();
  }

  async function copy(piece) {
    try {
      const made = await post(`/api/pieces/${piece.id}/copy`);
      await refresh();
      if (made?.id) await open(made.id);
    } catch (error) {
      ignore(error);
    }
  }

  async function drop(piece) {
    try {
      await remove(`/api/pieces/${piece.id}`);
      const { pieces } = await refresh();
      if (store.state.piece?.id === piece.id) {
        if (pieces.length) await open(pieces[0].id);
        else store.set({ piece: null });
      }
      gone.replaceChildren(el("span", { class: "stretch" }, `${piece.name} is deleted.`), button("Bring it back", back, "button small", { id: "undelete" }));
      gone.hidden = false;
    } catch (error) {
      ignore(error);
    }
  }

  async function back() {
    try {
      const piece = await post("/api/undelete");
      gone.hidden = true;
      await refresh();
      if (piece?.id) await open(piece.id);
    } catch (error) {
      ignore(error);
    }
  }

  function show() {
    if (renaming) return;
    const { pieces } = store.state;
    list.replaceChildren(...pieces.map(item));
    none.hidden = pieces.length > 0;
  }

  // Taking out: what, as what, by a button or by dragging.
  let what = "piece";
  let format = "mid";
  const whats = el("div", {});
  const formats = el("div", {});
  const handle = el("span", { class: "handle", draggable: true, "data-drag": "piece", title: "Drag this to a DAW or to the desktop" });
  const go = button("Save", async () => {
    go.disabled = true;
    go.textContent = "Writing …";
    try {
      await take(what, format);
    } catch (error) {
      ignore(error);
    }
    go.textContent = "Save";
    go.disabled = !store.state.piece;
  }, "button primary", { id: "take" });

  function showTake() {
    const { piece, status } = store.state;
    const { bars, parts } = scope();
    const entries = [["piece", "The whole piece"]];
    if (piece && (bars || parts.length)) entries.push(["selection", "What is selected"]);
    if (status) input.accept = status.reads.join(",");
    for (const part of piece?.parts ?? []) entries.push([String(part.index), part.name]);
    if (!entries.some(([value]) => value === what)) what = "piece";
    whats.replaceChildren(field("Take", choice(entries, what, (value) => {
      what = value;
      showTake();
    }, { id: "take-what" })));
    const offered = Object.entries(FORMATS).filter(([name]) => status?.formats.includes(name));
    formats.replaceChildren(field("As", choice(offered.map(([name, [words]]) => [name, words]), format, (value) => (format = value), { id: "take-as" })));
    const found = taken(what);
    handle.replaceChildren(icon("files"), el("span", {}, found ? `${fileName(found.name)}.mid` : "–"));
    handle.dataset.drag = what;
    handle.hidden = !found;
    go.disabled = !piece;
  }

  element.append(el("h2", {}, "Files"), input, button([icon("plus"), "Bring MIDI files in"], () => input.click(), "button wide"), gone, none, list,
    el("h3", { class: "over" }, "Take out"), whats, formats, el("div", { class: "row" }, go),
    el("p", { class: "hint drag" }, "Or drag it: pieces of the list, names of parts, and this"), handle);

  store.on(["pieces", "piece"], show);
  // A drag over notes selects anew with each step: the lists are made where they are seen.
  store.on(["piece", "selection", "status", "panel"], () => store.state.panel === "files" && showTake());
  mountDragOut();
  mountDragIn(bring);
  show();
  showTake();
}
