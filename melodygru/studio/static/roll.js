// The piano roll: two canvases, one for what changes with the view and the notes, one above it for what moves.

import { KEYS, noteBottom, tickOf, TOP, view, xOf } from "./geometry.js";
import { drawAbove, drawGround, group, readColours } from "./paint.js";
import { shown, store, ticksOf } from "./store.js";

const FOLLOW_AGAIN_MS = 2500; // after the view was moved by hand

let box = null;
let ground = null;
let above = null;
let dirty = true; // whether the ground is drawn anew with the next frame
let asked = 0; // the frame that is waited for
let handled = 0; // when a hand moved the view last
let fitted = true; // whether the rows were chosen so that all notes are visible

export const redrawAbove = () => (asked ||= requestAnimationFrame(tick));

export function redraw() {
  dirty = true;
  redrawAbove();
}

const leastScale = (piece) => Math.min(0.05, (view.width - KEYS) / (piece.length * 1.02));

function keepInside() {
  const piece = shown();
  if (!piece) return;
  const most = Math.max(0, piece.length - (view.width - KEYS) / view.scale + 80 / view.scale);
  view.left = Math.max(0, Math.min(most, view.left));
  view.top = Math.max(0, Math.min(128 * view.row - (noteBottom() - TOP), view.top));
  redraw();
}

/** Moves the view by px; a person's hand stops the following for a while. */
export function scroll(dx, dy, byHand = true) {
  view.left += dx / view.scale;
  view.top += dy;
  if (dy) fitted = false;
  if (byHand) handled = performance.now();
  keepInside();
}

/** Zooms the time by a factor around a place on the screen, or the rows. */
export function zoom(factor, x = KEYS + (view.width - KEYS) / 2, rows = 1, y = (TOP + noteBottom()) / 2) {
  const piece = shown();
  if (!piece) return;
  const tick = tickOf(x);
  view.scale = Math.max(leastScale(piece), Math.min(600 / piece.ticks_per_beat, view.scale * factor));
  view.left = tick - (x - KEYS) / view.scale;
  const at = (y - TOP + view.top) / view.row;
  view.row = Math.max(3, Math.min(28, view.row * rows));
  view.top = at * view.row - (y - TOP);
  if (rows !== 1) fitted = false;
  handled = performance.now();
  keepInside();
}

/** Shows the whole piece, all notes of it. */
export function showAll() {
  const piece = shown();
  if (!piece || !view.width) return;
  view.scale = (view.width - KEYS) / Math.max(1, piece.length * 1.02);
  view.left = 0;
  fitRows(3, piece);
}

/** Rows so high that all notes are visible, where that leaves them high enough; else the bulk of them. */
function fitRows(least, piece) {
  fitted = true;
  const pitches = Uint8Array.from(piece.notes, (note) => note[3]).sort();
  const room = noteBottom() - TOP;
  const at = (share) => pitches[Math.floor(share * (pitches.length - 1))] ?? 66;
  let [low, high] = pitches.length ? [at(0), at(1)] : [48, 84];
  if ((high - low + 5) * least > room) [low, high] = [at(0.04), at(0.96)];
  view.row = Math.max(least, Math.min(14, room / (high - low + 5)));
  view.top = (127.5 - (low + high) / 2) * view.row - room / 2;
  keepInside();
}

/** A view of a piece that was just opened: about eight bars, all pitches. */
function showStart() {
  const piece = shown();
  if (!piece || !view.width) return;
  const [, until] = ticksOf(piece, [0, Math.min(7, piece.bars.length - 2)]);
  view.scale = Math.max(leastScale(piece), (view.width - KEYS) / Math.max(1, until));
  view.left = 0;
  fitRows(5, piece);
}

/** Makes ticks [from, to) visible. */
export function reveal(from, to = from) {
  const [left, right] = [view.left, tickOf(view.width)];
  if (from >= left && to <= right) return;
  view.left = from - (view.width - KEYS) * 0.1 / view.scale;
  keepInside();
}

function follow() {
  if (!store.state.playing || !following || performance.now() - handled < FOLLOW_AGAIN_MS) return;
  const x = xOf(store.state.position);
  if (x > view.width - (view.width - KEYS) * 0.06 || x < KEYS) {
    view.left = store.state.position - ((view.width - KEYS) * 0.06) / view.scale;
    keepInside();
  }
}

let following = true;
export function setFollow(on) {
  following = on;
  handled = 0;
}

function tick() {
  asked = 0;
  if (dirty) drawGround(ground);
  dirty = false;
  drawAbove(above);
}

function resize() {
  view.width = box.clientWidth;
  view.height = box.clientHeight;
  view.ratio = window.devicePixelRatio || 1;
  if (fitted && shown()) fitRows(5, shown());
  keepInside();
}

function regroup() {
  group();
  redraw();
}

export function mountRoll(element) {
  box = element;
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  box.setAttribute("aria-roledescription", "piano roll");
  ground = box.appendChild(document.createElement("canvas"));
  above = box.appendChild(document.createElement("canvas"));
  readColours();
  let opened = null;
  new ResizeObserver(() => {
    const first = !view.width;
    resize();
    if (first) showStart();
  }).observe(box);
  for (const query of ["(prefers-color-scheme: dark)", "(prefers-contrast: more)"]) {
    matchMedia(query).addEventListener("change", () => {
      readColours();
      regroup();
    });
  }
  store.on(["piece", "candidates", "candidate", "preview", "growing", "surprise", "mutes", "solos"], regroup);
  store.on(["piece", "preview", "growing"], () => {
    const piece = shown();
    if (piece && opened !== (piece.id ?? "new")) showStart();
    opened = piece ? (piece.id ?? "new") : null;
    if (!piece) return;
    const words = piece.parts.length === 1 ? "one part" : `${piece.parts.length} parts`;
    box.setAttribute("aria-label", `${piece.name ?? "Piece"}: ${piece.bars.length - 1} bars, ${words}, ${piece.notes.length} notes. Full stop and comma go from note to note, arrows move what is selected.`);
  });
  store.on("selection", (selection, before) => {
    if (selection.parts !== before.parts) group();
    redraw();
  });
  store.on(["loop", "originality", "match", "plan"], redraw);
  store.on(["position", "cursor", "playing"], () => {
    redrawAbove();
    follow();
  });
  redraw();
}
