// Dragging out: what is dragged to the desktop or into another program arrives there as a MIDI file. The browser fetches
// it from the server when it is dropped (`DownloadURL`, which Chromium, Edge and Opera know; elsewhere the buttons of
// the Files panel do the same).

import { address } from "../api.js";
import { say, scope, store } from "../store.js";

/** The mark that a drag began on this page: what it drops here is not brought in again. */
const OWN = "application/x-melodygru";

/** A name that every file system takes. */
export const fileName = (words) => words.replaceAll(/[\\/:*?"<>|\u0000-\u001f]/g, " ").replaceAll(/\s+/g, " ").trim().slice(0, 80) || "piece";

/** What is taken out, {id, name, query}: a piece of the list, or of the open one "piece", a part's number, or
 *  "selection"; null where there is none. */
export function taken(what, piece = store.state.piece) {
  if (!piece) return null;
  if (what === "piece") return { id: piece.id, name: piece.name, query: {} };
  if (what === "selection") {
    const { bars, parts } = scope();
    if (!bars && !parts.length) return null;
    const query = {};
    if (bars) query.bars = `${bars[0] + 1}:${bars[1] + 1}`;
    if (parts.length) query.parts = parts.map((part) => part + 1).join(",");
    const names = parts.map((index) => piece.parts.find((part) => part.index === index)?.name).filter(Boolean);
    const words = [bars && `bars ${query.bars.replace(":", "-")}`, names.length <= 3 && names.join(", ")].filter(Boolean);
    return { id: piece.id, name: `${piece.name}, ${words.join(", ")}`, query };
  }
  const part = piece.parts.find(({ index }) => index === Number(what));
  return part ? { id: piece.id, name: `${piece.name}, ${part.name}`, query: { parts: String(part.index + 1) } } : null;
}

/** Puts a MIDI file into a drag. */
function carry(event, { id, name, query }) {
  const url = address(`/api/pieces/${id}/export`, { format: "mid", ...query });
  const { dataTransfer } = event;
  dataTransfer.effectAllowed = "copy";
  dataTransfer.setData("DownloadURL", `audio/midi:${fileName(name)}.mid:${url}`);
  dataTransfer.setData("text/plain", `${fileName(name)}.mid`);
  dataTransfer.setData(OWN, id);
}

/** Whatever has `data-drag`, as `taken` takes it, or `data-piece` and is draggable can be dragged out, wherever it stands. */
export function mountDragOut() {
  document.addEventListener("dragstart", (event) => {
    const source = event.target.closest?.("[draggable=true]");
    if (!source) return;
    const { drag, piece } = source.dataset;
    if (drag === undefined && piece === undefined) return;
    const listed = piece && store.state.pieces.find(({ id }) => id === piece);
    const what = listed ? { id: listed.id, name: listed.name, query: {} } : taken(drag);
    if (what) return carry(event, what);
    event.preventDefault();
    say("Select bars, notes or a part first, then drag.");
  });
}

/** Files dropped anywhere on the page are brought in by `bring(files)`. */
export function mountDragIn(bring) {
  const isOurs = ({ dataTransfer }) => dataTransfer.types.includes(OWN);
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files") && !isOurs(event);
  const show = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    show(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) show(false);
  });
  document.addEventListener("drop", (event) => {
    show(false);
    if (!event.dataTransfer || isOurs(event)) return;
    // A browser would leave the page for a file that nobody takes.
    event.preventDefault();
    if (event.dataTransfer.files.length) bring([...event.dataTransfer.files]);
  });
}
