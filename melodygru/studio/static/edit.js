// Editing: what is selected is moved, stretched, copied, ... Each edit is one POST, and one step of undo.

import { change, get, ignore, numbersOf, Refused } from "./api.js";
import { pitchName } from "./geometry.js";
import { bind } from "./keys.js";
import { playNote } from "./player.js";
import { reveal, scroll, setFollow, showAll, zoom } from "./roll.js";
import { barOf, barsInWords, moveTo, say, select, shown, store, ticksOf } from "./store.js";

const SMALLEST = 1 / 16; // of a beat: what a note can be shrunk to
const GRIDS = [["Bar", null], ["1/2", 0.5], ["1/4", 1], ["1/8", 2], ["1/8 triplet", 3], ["1/16", 4], ["1/16 triplet", 6], ["1/32", 8], ["Off", 0]];
const VELOCITY = 80; // of a note that is drawn
const CLIP = "melodygru-clip"; // what was copied, kept for the other pieces and a reload

let stepsPerBeat = 4;
let tool = "select";

export const isDrawing = () => tool === "draw";

/** The grid's step in ticks at a tick: a bar's is its own length. 1 without a grid. */
export function stepAt(tick) {
  const piece = store.state.piece;
  if (stepsPerBeat === 0) return 1;
  if (stepsPerBeat === null) {
    const [from, to] = ticksOf(piece, [barOf(piece, tick), barOf(piece, tick)]);
    return to - from;
  }
  return piece.ticks_per_beat / stepsPerBeat;
}

/** A tick on the grid, which starts anew with each bar. */
export function snap(tick, how = Math.round) {
  const piece = store.state.piece;
  const start = ticksOf(piece, [barOf(piece, Math.max(0, tick)), 0])[0];
  const step = stepAt(tick);
  return Math.max(0, Math.round(start + how((tick - start) / step) * step));
}

/** What an edit works on: [{number, note}] of the selected notes, or those of the selected bars and parts. */
function chosen() {
  const { piece, selection } = store.state;
  if (!piece) return [];
  if (selection.notes.size) return [...selection.notes].map((number) => ({ number, note: piece.notes[number] })).filter(({ note }) => note);
  if (!selection.bars && !selection.parts.size) return [];
  const [from, to] = selection.bars ? ticksOf(piece, selection.bars) : [0, Infinity];
  const found = [];
  piece.notes.forEach((note, number) => {
    if (note[1] >= from && note[1] < to && (!selection.parts.size || selection.parts.has(note[0]))) found.push({ number, note });
  });
  return found;
}

/** Whether the piece can be edited: what is shown is the piece itself. */
export function editable() {
  const { piece, candidate, preview, growing, lost } = store.state;
  if (!piece || preview || growing || lost) return false;
  if (candidate) say("Keep or discard the candidate before you edit.");
  return !candidate;
}

const key = (note) => note.join();

/** Replaces notes by others, in one step; then the new ones are selected, or those of `kept`. */
function replace(removed, added, kept = null) {
  if (!editable() || (!removed.length && !added.length)) return Promise.resolve();
  const body = (piece) => ({ remove: [...numbersOf(piece, removed)], add: added });
  const after = (piece) => {
    const { bars, parts } = store.state.selection;
    select({ notes: numbersOf(piece, kept ?? added), bars: added.length && !kept ? null : bars, parts });
  };
  return change("edit", body, after).catch(ignore);
}

let last = Promise.resolve();
// Keys that are held send more than the server should write: what has come together since is one step.
let waiting = null;

/** Runs an edit once those before it are done, so that it sees what they have made. */
function inTurn(run) {
  waiting = null;
  last = last.then(run).catch((error) => {
    if (!(error instanceof Refused)) reportError(error);
  });
  return last;
}

/** Resolves once every edit that was begun is saved. */
export const settled = () => last;

const turned = (edit) => (...values) => inTurn(() => edit(...values));

const locked = (part) => store.state.piece.parts.find((one) => one.index === part)?.locked;

/** Notes of a locked part stay as they are, and a person is told. */
export function free(list) {
  const rest = list.filter(({ note }) => !locked(note[0]));
  if (rest.length < list.length) say("A locked part stays as it is.");
  return rest;
}

/** How far notes can go together: within the pitches and not before the start. */
function within(list, ticks, semitones) {
  let [low, high, first] = [127, 0, Infinity];
  for (const { note } of list) [low, high, first] = [Math.min(low, note[3]), Math.max(high, note[3]), Math.min(first, note[1])];
  return [Math.max(-first, ticks), Math.max(-low, Math.min(127 - high, semitones))];
}

export function moved(list, ticks, semitones) {
  const [by, up] = within(list, ticks, semitones);
  return list.map(({ note: [part, onset, duration, pitch, velocity] }) => [part, onset + by, duration, pitch + up, velocity]);
}

export function stretched(list, ticks, fromStart = false) {
  const least = Math.max(1, Math.round(store.state.piece.ticks_per_beat * SMALLEST));
  return list.map(({ note: [part, onset, duration, pitch, velocity] }) => {
    if (!fromStart) return [part, onset, Math.max(least, duration + ticks), pitch, velocity];
    const start = Math.max(0, Math.min(onset + duration - least, onset + ticks));
    return [part, start, onset + duration - start, pitch, velocity];
  });
}

function place(list, notes) {
  const changed = list.map(({ note }, at) => [note, notes[at]]).filter(([before, after]) => key(before) !== key(after));
  return replace(changed.map(([before]) => before), changed.map(([, after]) => after), notes);
}

/** Puts the places that a drag has found, note for note. */
export const put = turned(place);

function gather(ticks, semitones, longer) {
  if (waiting) {
    waiting.ticks += ticks;
    waiting.semitones += semitones;
    waiting.longer += longer;
    return;
  }
  const all = { ticks, semitones, longer };
  inTurn(async () => {
    if (waiting === all) waiting = null;
    const list = free(chosen());
    if (!list.length || !editable()) return;
    let notes = moved(list, all.ticks, all.semitones);
    if (all.longer) notes = stretched(notes.map((note) => ({ note })), all.longer);
    await place(list, notes);
    if (all.semitones && notes.length === 1) playNote(notes[0][0], notes[0][3], notes[0][4]);
    reveal(notes[0][1]);
  });
  waiting = all;
}

const erase = turned(() => {
  const list = free(chosen());
  if (list.length && editable()) say(list.length === 1 ? "One note deleted." : `${list.length} notes deleted.`);
  return replace(list.map(({ note }) => note), []);
});

/** The part that a new note belongs to: the selected one, or the first. */
export function partForNew() {
  const { piece, selection } = store.state;
  return selection.parts.size ? Math.min(...selection.parts) : (piece.parts.find((part) => !part.locked)?.index ?? 0);
}

function addNow(onset, pitch, duration, part = partForNew()) {
  if (!editable()) return;
  if (locked(part)) return say("A locked part stays as it is.");
  playNote(part, pitch, VELOCITY);
  return replace([], [[part, onset, Math.max(1, Math.round(duration)), pitch, VELOCITY]]);
}

export const add = turned(addNow);

/** Sets velocities by number of a note; what is selected stays so. */
export const loud = turned((velocities) => {
  const { piece, selection } = store.state;
  const list = free([...velocities.keys()].map((number) => ({ number, note: piece.notes[number] })));
  const louder = new Map(list.map(({ number, note }) => [number, [...note.slice(0, 4), velocities.get(number)]]));
  const kept = [...selection.notes].map((number) => louder.get(number) ?? piece.notes[number]);
  return replace(list.map(({ note }) => note), [...louder.values()], kept);
});

const quantise = turned(() => {
  const list = free(chosen().length ? chosen() : store.state.piece.notes.map((note, number) => ({ note, number })));
  if (!editable() || !list.length) return;
  if (!stepsPerBeat) return say("Choose a grid of a part of a beat first.");
  const numbers = list.map(({ number }) => number);
  return change("edit", { op: "quantise", notes: numbers, steps_per_beat: stepsPerBeat })
    .then(() => say(`${numbers.length} notes are on the grid.`))
    .catch(ignore);
});

function copy() {
  const { piece } = store.state;
  const list = chosen();
  if (!list.length) return say("Select notes to copy first.");
  const first = Math.min(...list.map(({ note }) => note[1]));
  // From where the bar or the beat begins, so that what is pasted keeps its place in it.
  const { bars } = store.state.selection;
  const start = bars ? ticksOf(piece, bars)[0] : snap(first, Math.floor);
  const notes = list.map(({ note: [part, onset, ...rest] }) => [part, onset - start, ...rest]);
  sessionStorage.setItem(CLIP, JSON.stringify({ ticksPerBeat: piece.ticks_per_beat, notes }));
  say(notes.length === 1 ? "One note copied." : `${notes.length} notes copied.`);
}

function cut() {
  inTurn(copy);
  erase();
}

const paste = turned(() => {
  const { piece, cursor, playing, position } = store.state;
  const clip = JSON.parse(sessionStorage.getItem(CLIP) ?? "null");
  if (!clip) return say("Nothing was copied yet.");
  const times = piece.ticks_per_beat / clip.ticksPerBeat;
  const start = snap(playing ? position : cursor);
  const parts = new Set(piece.parts.map((part) => part.index));
  const notes = clip.notes.map(([part, onset, duration, ...rest]) => [parts.has(part) ? part : partForNew(), start + Math.round(onset * times), Math.max(1, Math.round(duration * times)), ...rest]);
  return replace([], notes).then(() => reveal(start));
});

/** The selection once more after itself: a whole bar later where it fills one, else a whole number of steps. */
const duplicate = turned(() => {
  const { piece, selection } = store.state;
  const list = free(chosen());
  if (!list.length) return;
  const first = Math.min(...list.map(({ note }) => note[1]));
  const end = Math.max(...list.map(({ note }) => note[1] + note[2]));
  const [from, to] = selection.bars ? ticksOf(piece, selection.bars) : [snap(first, Math.floor), snap(end, Math.ceil)];
  const by = Math.max(1, to - from);
  return replace([], moved(list, by, 0)).then(() => reveal(from + by, to + by));
});

function history(step) {
  const { piece, lost } = store.state;
  if (!piece || lost) return;
  if (step < 0 && !piece.can_undo) return say("Nothing to undo.");
  if (step > 0 && !piece.can_redo) return say("Nothing to redo.");
  const before = new Map();
  for (const note of piece.notes) before.set(key(note), (before.get(key(note)) ?? 0) + 1);
  return change("history", { step }, (now) => {
    // What has come back is selected, and seen.
    const back = now.notes.filter((note) => {
      const left = before.get(key(note)) ?? 0;
      before.set(key(note), left - 1);
      return left <= 0;
    });
    if (!back.length) return;
    select({ notes: numbersOf(now, back), parts: store.state.selection.parts });
    reveal(Math.min(...back.map((note) => note[1])));
  }).catch(ignore);
}

const undo = turned(() => history(-1));
const again = turned(() => history(1));

const toggleSurprise = turned(async () => {
  const { piece, surprise } = store.state;
  if (!piece) return;
  if (surprise) return store.set({ surprise: null });
  try {
    const { nats } = await get(`/api/pieces/${piece.id}/surprise`);
    if (store.state.piece === piece) store.set({ surprise: { revision: piece.revision, nats } });
  } catch (error) {
    ignore(error);
  }
});

// --- words for what is selected ---

const GLYPHS = { "♯": " sharp", "♭": " flat" };

/** "Piano, C 4, bar 3 beat 2, 1 beat long, velocity 80": a note for those who hear the page. */
function inWords(note) {
  const { piece } = store.state;
  const [part, onset, duration, pitch, velocity] = note;
  const bar = barOf(piece, onset);
  const beat = ((onset - piece.bars[bar]) / piece.ticks_per_beat + 1).toFixed(2).replace(/\.?0+$/, "");
  const long = (duration / piece.ticks_per_beat).toFixed(2).replace(/\.?0+$/, "");
  const name = pitchName(pitch).replace(/[♯♭]/, (glyph) => GLYPHS[glyph]);
  const { nats } = store.state.surprise ?? {};
  const number = [...store.state.selection.notes][0];
  const surprising = nats?.[number] === undefined || nats[number] === null ? "" : `, surprise ${nats[number].toFixed(1)} nats`;
  return `${piece.parts.find((one) => one.index === part)?.name ?? "Part"}, ${name}, bar ${bar + 1} beat ${beat}, ${long} ${long === "1" ? "beat" : "beats"} long, velocity ${velocity}${surprising}`;
}

function describe() {
  const { piece, selection } = store.state;
  if (!piece) return "";
  const list = chosen();
  if (list.length === 1 && selection.notes.size) return inWords(list[0].note);
  const words = [];
  if (selection.bars) words.push(barsInWords(selection.bars));
  if (selection.parts.size) words.push([...selection.parts].map((part) => piece.parts.find((one) => one.index === part)?.name).join(", "));
  if (selection.notes.size || words.length) words.push(list.length === 1 ? "1 note" : `${list.length} notes`);
  return words.join(", ");
}

/** Goes to the next or the previous note of the selected parts, as they begin. */
function walk(step, extend) {
  const { piece, selection, cursor } = store.state;
  if (!piece?.notes.length) return;
  const order = piece.notes
    .map((note, number) => ({ note, number }))
    .filter(({ note }) => !selection.parts.size || selection.parts.has(note[0]))
    .sort((a, b) => a.note[1] - b.note[1] || a.note[3] - b.note[3]);
  if (!order.length) return;
  const numbers = [...selection.notes];
  const last = order.findIndex(({ number }) => number === numbers.at(-1));
  let at = last + step;
  if (last < 0) at = step > 0 ? order.findIndex(({ note }) => note[1] >= cursor) : order.findLastIndex(({ note }) => note[1] < cursor);
  const found = order[Math.max(0, Math.min(order.length - 1, at))];
  const rest = extend ? numbers.filter((number) => number !== found.number) : [];
  select({ notes: new Set([...rest, found.number]), parts: selection.parts });
  moveTo(found.note[1]);
  playNote(found.note[0], found.note[3], found.note[4]);
  reveal(found.note[1], found.note[1] + found.note[2]);
}

/** Moves the cursor; with `extend` it takes bars along into the selection. */
function moveCursor(tick, extend) {
  const { piece, cursor, selection } = store.state;
  if (!piece) return;
  const to = Math.max(0, Math.min(piece.length, tick));
  if (extend) {
    const bar = barOf(piece, cursor);
    const [first, last] = selection.bars ?? [bar, bar];
    const reached = barOf(piece, to);
    const bars = bar === last && reached !== first - 1 ? [Math.min(first, reached), Math.max(reached, Math.min(first, reached))] : [reached, last];
    select({ bars, parts: selection.parts });
  }
  moveTo(to);
  reveal(to);
}

const barStart = (step) => {
  const { piece, cursor } = store.state;
  const bar = barOf(piece, cursor);
  if (step < 0 && cursor > piece.bars[bar]) return piece.bars[bar];
  return piece.bars[Math.max(0, Math.min(piece.bars.length - 1, bar + step))];
};

function setTool(name) {
  tool = name;
  for (const [id, value] of [["tool-select", "select"], ["tool-draw", "draw"]]) document.getElementById(id).setAttribute("aria-pressed", String(value === tool));
  document.getElementById("roll").classList.toggle("drawing", tool === "draw");
}

export function toggleLoop() {
  const { piece, loop, selection } = store.state;
  if (!piece) return;
  const bars = selection.bars && ticksOf(piece, selection.bars);
  if (loop && (!bars || String(bars) === String(loop))) return store.set({ loop: null });
  store.set({ loop: bars ?? [0, piece.length] });
  say(bars ? describeLoop(selection.bars) : "The whole piece loops.");
}

const describeLoop = (bars) => `${barsInWords(bars)} ${bars[0] === bars[1] ? "loops" : "loop"}.`;

function arrow(dx, dy) {
  return (event) => {
    const { piece, selection } = store.state;
    if (!piece) return false;
    const far = event.shiftKey;
    if (!selection.notes.size) {
      if (dy) return scroll(0, -dy * (far ? 120 : 40));
      if (far) return moveCursor(dx > 0 ? barStart(1) : barStart(-1), true);
      return moveCursor(snap(store.state.cursor + dx * stepAt(store.state.cursor)), false);
    }
    const bar = barOf(piece, piece.notes[[...selection.notes][0]]?.[1] ?? 0);
    const step = far ? piece.bars[bar + 1] - piece.bars[bar] : stepAt(piece.notes[[...selection.notes][0]]?.[1] ?? 0);
    gather(dx * step, dy * (far ? 12 : 1), 0);
  };
}

const insertAtCursor = turned(async () => {
  const { piece, selection, cursor } = store.state;
  if (!piece) return;
  const before = [...selection.notes].map((number) => piece.notes[number]).at(-1);
  const part = before?.[0] ?? partForNew();
  const pitch = before?.[3] ?? piece.notes.find((note) => note[0] === part)?.[3] ?? 60;
  const duration = before?.[2] ?? stepAt(cursor);
  const onset = before && before[1] === cursor ? before[1] + before[2] : cursor;
  await addNow(onset, pitch, duration, part);
  store.set({ cursor: onset });
});

function bindAll() {
  const inRoll = (run) => (event) => (shown() ? run(event) : false);
  bind(["Control+z"], "Undo", undo, "Editing");
  bind(["Control+Shift+z", "Control+y"], "Redo what was undone", again, "Editing");
  bind("Control+c", "Copy", () => (String(getSelection()) ? false : void inTurn(copy)), "Editing");
  bind("Control+x", "Cut", cut, "Editing");
  bind("Control+v", "Paste at the cursor", paste, "Editing");
  bind("Control+d", "Duplicate", duplicate, "Editing");
  bind("Control+a", "Select all, or all of the selected parts", inRoll(selectAll), "Selecting");
  bind(["Delete", "Backspace"], "Delete", inRoll(erase), "Editing");
  bind("q", "Quantise to the grid", inRoll(quantise), "Editing");
  bind(["ArrowLeft", "Shift+ArrowLeft"], "Earlier by the grid; Shift: a bar", arrow(-1, 0), "Editing");
  bind(["ArrowRight", "Shift+ArrowRight"], "Later by the grid; Shift: a bar", arrow(1, 0), "Editing");
  bind(["ArrowUp", "Shift+ArrowUp"], "Up a semitone; Shift: an octave", arrow(0, 1), "Editing");
  bind(["ArrowDown", "Shift+ArrowDown"], "Down a semitone; Shift: an octave", arrow(0, -1), "Editing");
  bind("Alt+ArrowRight", "Longer by the grid", inRoll(() => gather(0, 0, stepAt(0))), "Editing");
  bind("Alt+ArrowLeft", "Shorter by the grid", inRoll(() => gather(0, 0, -stepAt(0))), "Editing");
  bind("Alt+ArrowUp", "Louder", inRoll(() => nudgeVelocity(8)), "Editing");
  bind("Alt+ArrowDown", "Softer", inRoll(() => nudgeVelocity(-8)), "Editing");
  bind(["i", "Insert"], "Add a note at the cursor", inRoll(insertAtCursor), "Editing");
  bind("d", "Draw notes, or select", () => setTool(tool === "draw" ? "select" : "draw"), "Editing");
  bind(".", "To the next note", inRoll(() => walk(1, false)), "Selecting");
  bind(",", "To the previous note", inRoll(() => walk(-1, false)), "Selecting");
  bind([">", ":"], "The next note too", inRoll(() => walk(1, true)), "Selecting");
  bind("b", "Select the bar at the cursor", inRoll(() => select({ bars: [barOf(store.state.piece, store.state.cursor), barOf(store.state.piece, store.state.cursor)], parts: store.state.selection.parts })), "Selecting");
  bind("PageDown", "Cursor to the next bar", inRoll(() => moveCursor(barStart(1))), "Selecting");
  bind("PageUp", "Cursor to the bar before", inRoll(() => moveCursor(barStart(-1))), "Selecting");
  bind("Shift+PageDown", "Select the next bar too", inRoll(() => moveCursor(barStart(1), true)), "Selecting");
  bind("Escape", "Select nothing", () => (hasSelection() ? select() : false), "Selecting");
  bind(["+", "=", "Control+="], "Zoom in", inRoll(() => zoom(1.3)), "View");
  bind(["-", "Control+-"], "Zoom out", inRoll(() => zoom(1 / 1.3)), "View");
  bind("Shift+z", "Show the whole piece", showAll, "View");
  bind("s", "Colour by surprise", () => void toggleSurprise(), "View");
}

function selectAll() {
  const { piece, selection } = store.state;
  const numbers = piece.notes.map((_, number) => number).filter((number) => !selection.parts.size || selection.parts.has(piece.notes[number][0]));
  select({ notes: new Set(numbers), parts: selection.parts });
}

const nudgeVelocity = turned((by) => {
  const list = free(chosen());
  return place(list, list.map(({ note: [part, onset, duration, pitch, velocity] }) => [part, onset, duration, pitch, Math.max(1, Math.min(127, velocity + by))]));
});

const hasSelection = () => store.state.selection.notes.size || store.state.selection.bars || store.state.selection.parts.size;

export function mountEdit() {
  const on = (id, run) => document.getElementById(id).addEventListener("click", run);
  const grid = document.getElementById("grid");
  for (const [words, value] of GRIDS) grid.append(new Option(words, String(value)));
  grid.value = "4";
  grid.addEventListener("change", () => (stepsPerBeat = grid.value === "null" ? null : Number(grid.value)));
  on("tool-select", () => setTool("select"));
  on("tool-draw", () => setTool("draw"));
  on("quantise", () => store.state.piece && quantise());
  on("copy", copy);
  on("paste", () => store.state.piece && paste());
  on("duplicate", duplicate);
  on("delete", erase);
  on("surprise", toggleSurprise);
  on("undo", undo);
  on("again", again);
  on("zoom-in", () => zoom(1.3));
  on("zoom-out", () => zoom(1 / 1.3));
  on("zoom-fit", showAll);
  const follow = document.getElementById("follow");
  const setFollowing = (value) => {
    follow.setAttribute("aria-pressed", String(value));
    setFollow(value);
  };
  follow.addEventListener("click", () => setFollowing(follow.getAttribute("aria-pressed") !== "true"));
  bind("f", "Follow the line", () => follow.click(), "View");
  bindAll();
  store.on("piece", (piece) => {
    document.getElementById("undo").disabled = !piece?.can_undo;
    document.getElementById("again").disabled = !piece?.can_redo;
  });
  store.on("surprise", (surprise) => document.getElementById("surprise").setAttribute("aria-pressed", String(Boolean(surprise))));
  let speaking = 0;
  store.on(["selection", "piece"], () => {
    const words = describe();
    document.getElementById("chosen").textContent = words;
    document.getElementById("chosen").title = words;
    clearTimeout(speaking);
    speaking = setTimeout(() => (document.getElementById("spoken").textContent = words), 350);
  });
}

