// Mouse, pen and fingers on the roll: select, draw, move, stretch, loud; bars on the ruler; scroll and zoom.

import { add, editable, free, isDrawing, loud, moved, partForNew, put, snap, stepAt, stretched } from "./edit.js";
import { cellOf, drag, KEYS, LOUD, pitchOf, tickOf, view, WHOLE, xOf, zoneOf } from "./geometry.js";
import { bind } from "./keys.js";
import { notesIn } from "./paint.js";
import { playNote, seek } from "./player.js";
import { redraw, redrawAbove, scroll, zoom } from "./roll.js";
import { barOf, isOwn, moveTo, say, select, shown, store } from "./store.js";

const EDGE = 6; // px at a note's end that stretch it
const NEAR = 4; // px that a pointer may tremble before it drags
const HOLD_MS = 420; // a finger that rests so long begins a rectangle
const TWICE_MS = 350;

let box = null;
const pointers = new Map();
let gesture = null;
let lastTap = { time: 0, x: 0, y: 0 };

const place = (event) => {
  const { left, top } = box.getBoundingClientRect();
  return [event.clientX - left, event.clientY - top];
};

/** The note on top at a point, and which of its ends is near. */
function hit(x, y) {
  const slack = 2 / view.scale;
  const found = notesIn(tickOf(x) - slack, tickOf(x) + slack, pitchOf(y), pitchOf(y));
  const { selection } = store.state;
  const best = found.findLast(({ number }) => selection.notes.has(number)) ?? found.at(-1);
  if (!best) return null;
  const [from, to] = [xOf(best.note[1]), xOf(best.note[1] + best.note[2])];
  const edge = Math.min(EDGE, (to - from) / 3);
  return { ...best, end: x > to - edge ? "end" : x < from + edge ? "start" : "" };
}

function begin(event) {
  if (event.button > 1 || event.target === cell) return;
  const [x, y] = place(event);
  box.focus({ preventScroll: true });
  pointers.set(event.pointerId, [x, y]);
  box.setPointerCapture(event.pointerId);
  closeCell();
  if (pointers.size === 2) return (gesture = pinch());
  if (!shown() || pointers.size > 2) return;
  const zone = zoneOf(x, y);
  const touch = event.pointerType === "touch";
  const twice = event.timeStamp - lastTap.time < TWICE_MS && Math.hypot(x - lastTap.x, y - lastTap.y) < 12;
  lastTap = { time: twice ? 0 : event.timeStamp, x, y };
  if (event.button === 1) gesture = pan(x, y);
  else if (zone === "keys") gesture = keyboard(y);
  else if (zone === "ruler") gesture = ruler(x, event, twice);
  else if (zone === "whole") gesture = overview(x);
  else if (zone === "form" || zone === "chords") gesture = lane(zone, x, twice);
  else if (zone === "loud") gesture = velocities(x, y);
  else if (zone === "notes") gesture = onNotes(x, y, event, touch, twice);
  event.preventDefault();
}

function onNotes(x, y, event, touch, twice) {
  const found = hit(x, y);
  const { piece, selection } = store.state;
  if (found && isOwn()) {
    if (event.shiftKey || event.ctrlKey || event.metaKey) {
      const notes = new Set(selection.notes);
      if (!notes.delete(found.number)) notes.add(found.number);
      select({ notes, parts: selection.parts });
      return null;
    }
    if (!selection.notes.has(found.number)) {
      select({ notes: new Set([found.number]), parts: selection.parts });
      playNote(found.note[0], found.note[3], found.note[4]);
    }
    return carry(x, y, found);
  }
  if ((isDrawing() || twice) && editable()) return drawn(x, y, twice && !isDrawing());
  if (touch) return finger(x, y);
  return rectangle(x, y, event.shiftKey);
}

/** Moves or stretches what is selected; nothing happens before the pointer has really moved. */
function carry(x, y, found) {
  const piece = store.state.piece;
  const list = free([...store.state.selection.notes].map((number) => ({ number, note: piece.notes[number] })));
  if (!list.length || !editable()) return null;
  let [started, notes, sounded] = [false, null, found.note[3]];
  return {
    move(u, v, event) {
      if (!started && Math.hypot(u - x, v - y) < NEAR) return;
      if (!started) {
        drag.carried = new Set(list.map(({ number }) => number));
        redraw();
      }
      started = true;
      const anchor = found.end === "end" ? found.note[1] + found.note[2] : found.note[1];
      const target = anchor + (u - x) / view.scale;
      const ticks = (event.altKey ? Math.round(target) : snap(target)) - anchor;
      const semitones = found.end ? 0 : pitchOf(v) - pitchOf(y);
      notes = found.end ? stretched(list, ticks, found.end === "start") : moved(list, ticks, semitones);
      drag.ghosts = notes;
      if (found.note[3] + semitones !== sounded && !found.end) playNote(found.note[0], (sounded = Math.max(0, Math.min(127, found.note[3] + semitones))), found.note[4]);
      redrawAbove();
    },
    end() {
      const over = () => {
        drag.ghosts = drag.carried = null;
        redraw();
      };
      if (notes) put(list, notes).finally(over);
      else over();
      if (!notes && started === false && list.length > 1) select({ notes: new Set([found.number]), parts: store.state.selection.parts });
    },
  };
}

/** A new note, as long as the pointer draws it. */
function drawn(x, y, asTap) {
  const start = snap(tickOf(x), Math.floor);
  const pitch = pitchOf(y);
  const least = stepAt(start);
  let duration = least > 1 ? least : store.state.piece.ticks_per_beat / 4;
  const part = partForNew();
  const show = () => {
    drag.ghosts = [[part, start, duration, pitch, 80]];
    redrawAbove();
  };
  show();
  return {
    move(u) {
      if (asTap && Math.abs(u - x) < NEAR) return;
      duration = Math.max(least > 1 ? least : 1, snap(tickOf(u), Math.ceil) - start);
      show();
    },
    end() {
      drag.ghosts = null;
      add(start, pitch, duration, part);
    },
  };
}

function rectangle(x, y, extend) {
  const before = extend ? store.state.selection.notes : new Set();
  let started = false;
  return {
    move(u, v) {
      if (!started && Math.hypot(u - x, v - y) < NEAR) return;
      started = true;
      drag.rectangle = [Math.min(x, u), Math.min(y, v), Math.max(x, u), Math.max(y, v)];
      redrawAbove();
      const edge = 24;
      if (u > view.width - edge) scroll(8, 0);
      if (u < KEYS + edge) scroll(-8, 0);
      const [from, to, high, low] = [tickOf(drag.rectangle[0]), tickOf(drag.rectangle[2]), pitchOf(drag.rectangle[1]), pitchOf(drag.rectangle[3])];
      const found = notesIn(from, to, low, high).filter(({ faint }) => !faint);
      if (isOwn()) select({ notes: new Set([...before, ...found.map(({ number }) => number)]), parts: store.state.selection.parts });
    },
    end() {
      drag.rectangle = null;
      if (!started && !extend) {
        select({ parts: store.state.selection.parts });
        seek(snap(tickOf(x)));
      }
      redrawAbove();
    },
  };
}

/** One finger: a short touch sets the cursor, a rest begins a rectangle, anything else scrolls. */
function finger(x, y) {
  let [atX, atY, mode] = [x, y, ""];
  const timer = setTimeout(() => {
    if (!mode) {
      mode = "rectangle";
      inner = rectangle(x, y, false);
      navigator.vibrate?.(12);
    }
  }, HOLD_MS);
  let inner = null;
  return {
    move(u, v, event) {
      if (mode === "rectangle") return inner.move(u, v, event);
      if (!mode && Math.hypot(u - x, v - y) < NEAR * 2) return;
      mode = "scroll";
      clearTimeout(timer);
      scroll(atX - u, atY - v);
      [atX, atY] = [u, v];
    },
    end() {
      clearTimeout(timer);
      if (mode === "rectangle") inner.end();
      else if (!mode) rectangle(x, y, false).end();
    },
    cancel: () => clearTimeout(timer),
  };
}

function pan(x, y) {
  let [atX, atY] = [x, y];
  return {
    move(u, v) {
      scroll(atX - u, atY - v);
      [atX, atY] = [u, v];
    },
    end() {},
  };
}

function pinch() {
  gesture?.cancel?.();
  drag.ghosts = drag.carried = drag.rectangle = null;
  redraw();
  const both = () => [...pointers.values()].slice(0, 2);
  let [[ax, ay], [bx, by]] = both();
  return {
    move() {
      if (pointers.size < 2) return;
      const [[cx, cy], [dx, dy]] = both();
      const wide = Math.abs(ax - bx) > Math.abs(ay - by);
      const factor = wide ? Math.abs(cx - dx) / Math.max(1, Math.abs(ax - bx)) : 1;
      const rows = wide ? 1 : Math.abs(cy - dy) / Math.max(1, Math.abs(ay - by));
      scroll((ax + bx - cx - dx) / 2, (ay + by - cy - dy) / 2);
      zoom(Math.max(0.5, Math.min(2, factor)), (cx + dx) / 2, Math.max(0.5, Math.min(2, rows)), (cy + dy) / 2);
      [[ax, ay], [bx, by]] = [[cx, cy], [dx, dy]];
    },
    end() {},
  };
}

function keyboard(y) {
  let pitch = -1;
  const sound = (v) => {
    if (pitchOf(v) === pitch || !store.state.piece) return;
    pitch = pitchOf(v);
    playNote(partForNew(), pitch);
  };
  sound(y);
  return { move: (_, v) => sound(v), end() {} };
}

/** A click sets the line, a drag selects bars, Shift goes on from the bars selected, two clicks select none. */
function ruler(x, event, twice) {
  const piece = store.state.piece;
  if (!isOwn()) return null;
  const { bars, parts } = store.state.selection;
  const first = barOf(piece, tickOf(x));
  const choose = (from, to) => {
    select({ bars: [Math.min(from, to), Math.max(from, to)], parts });
    moveTo(piece.bars[Math.min(from, to)]);
  };
  if (event.shiftKey && bars) {
    select({ bars: [Math.min(bars[0], first), Math.max(bars[1], first)], parts });
    return null;
  }
  if (twice) {
    choose(first, first);
    return null;
  }
  let started = false;
  return {
    move(u) {
      if (!started && Math.abs(u - x) < NEAR) return;
      started = true;
      if (u > view.width - 20) scroll(10, 0);
      if (u < KEYS + 20) scroll(-10, 0);
      choose(first, barOf(piece, Math.max(0, tickOf(u))));
    },
    end() {
      if (started) return;
      const inside = bars && first >= bars[0] && first <= bars[1];
      if (bars && !inside) select({ parts });
      seek(snap(tickOf(x)));
    },
  };
}

function overview(x) {
  const go = (u) => {
    const wide = (view.width - KEYS) / view.scale;
    scroll(((u / view.width) * shown().length - wide / 2 - view.left) * view.scale, 0);
  };
  go(x);
  return { move: go, end() {} };
}

/** Draws velocities: of the selected notes where some are, else of every note that is passed. */
function velocities(x, y) {
  if (!editable()) return null;
  const changes = new Map();
  let last = null;
  const set = (u, v) => {
    const velocity = Math.max(1, Math.min(127, Math.round(((view.height - WHOLE - v) / (LOUD - 8)) * 127)));
    const { selection, piece } = store.state;
    const [from, to] = [Math.min(u, last ?? u) - 3, Math.max(u, last ?? u) + 3].map(tickOf);
    last = u;
    for (const { number, note, faint } of notesIn(from, to, 0, 127)) {
      if (note[1] < from || note[1] > to || faint || (selection.notes.size && !selection.notes.has(number))) continue;
      changes.set(number, velocity);
    }
    drag.loud = piece ? changes : null;
    redraw();
  };
  set(x, y);
  return {
    move: set,
    end() {
      if (!changes.size) return (drag.loud = null);
      loud(changes).finally(() => {
        drag.loud = null;
        redraw();
      });
    },
  };
}

// --- the lanes of form and chords ---

let cell = null;

function closeCell() {
  cell?.blur();
}

const takesForm = () => store.state.status?.settings?.some(({ name }) => name === "form");

/** One click selects the bar, two write into its cell. */
function lane(name, x, twice) {
  const piece = store.state.piece;
  if (!isOwn()) return null;
  const bar = barOf(piece, tickOf(x));
  select({ bars: [bar, bar], parts: store.state.selection.parts });
  if (twice && name === "form" && !takesForm()) say("The form is found in the notes; the model takes no wishes for it.");
  else if (twice) setTimeout(() => writeCell(name, bar));
  return null;
}

/** Lays an input over a bar's cell; Tab goes on to the next bar, Enter and leaving keep, Escape doesn't. */
function writeCell(name, bar) {
  const { piece, plan } = store.state;
  if (!piece || bar < 0 || bar > piece.bars.length - 2) return;
  const place_ = cellOf(name, bar);
  cell = document.createElement("input");
  cell.className = "cell";
  cell.setAttribute("aria-label", name === "form" ? `Form letter of bar ${bar + 1}` : `Chords of bar ${bar + 1}`);
  cell.placeholder = name === "form" ? "A, B, …" : "C, Am7, F G …";
  cell.value = plan?.[name]?.[bar] ?? "";
  cell.style.left = `${Math.max(KEYS, Math.min(view.width - 96, place_.left))}px`;
  cell.style.top = `${place_.top}px`;
  let keep = true;
  const own = cell;
  own.addEventListener("blur", () => {
    if (keep) wish(name, bar, own.value.trim());
    own.remove();
    if (cell === own) cell = null;
  });
  own.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Escape") keep = false;
    if (event.key === "Escape" || event.key === "Enter") box.focus();
    if (event.key === "Tab") {
      event.preventDefault();
      box.focus();
      writeCell(name, bar + (event.shiftKey ? -1 : 1));
    }
  });
  box.append(own);
  own.focus();
}

function wish(name, bar, text) {
  const { piece, plan } = store.state;
  const count = piece.bars.length - 1;
  const next = { form: [...(plan?.form ?? Array(count).fill(""))], chords: [...(plan?.chords ?? Array(count).fill(""))] };
  next[name][bar] = name === "form" ? text.toUpperCase().slice(0, 1) : text.replaceAll("|", " ");
  store.set({ plan: [...next.form, ...next.chords].some(Boolean) ? next : null });
}

function hover(event) {
  if (gesture || event.pointerType === "touch") return;
  const [x, y] = place(event);
  const zone = shown() ? zoneOf(x, y) : "";
  let cursor = "default";
  if (zone === "notes") {
    const found = hit(x, y);
    cursor = found ? (found.end ? "ew-resize" : "grab") : isDrawing() ? "crosshair" : "default";
  } else if (zone === "ruler") cursor = "col-resize";
  else if (zone === "keys") cursor = "pointer";
  else if (zone === "loud") cursor = "ns-resize";
  else if (zone === "form" || zone === "chords") cursor = "text";
  box.style.cursor = cursor;
}

function wheel(event) {
  event.preventDefault();
  const [x, y] = place(event);
  const lines = event.deltaMode === 1 ? 18 : 1;
  const [dx, dy] = [event.deltaX * lines, event.deltaY * lines];
  if (event.ctrlKey || event.metaKey) zoom(Math.exp(-dy * 0.004), Math.max(KEYS, x));
  else if (event.altKey) zoom(1, x, Math.exp(-dy * 0.003), y);
  else if (event.shiftKey && !dx) scroll(dy, 0);
  else scroll(dx, dy);
}

export function mountPointer(element) {
  box = element;
  const atCursor = (name) => () => {
    if (!isOwn()) return false;
    writeCell(name, barOf(store.state.piece, store.state.cursor));
  };
  bind("c", "Write the chords of the bar at the cursor", atCursor("chords"), "Editing");
  bind("o", "Write its form letter", (event) => (takesForm() ? atCursor("form")(event) : false), "Editing");
  store.on("piece", () => (drag.ghosts = drag.carried = null));
  box.addEventListener("pointerdown", begin);
  box.addEventListener("pointermove", (event) => {
    if (!pointers.has(event.pointerId)) return hover(event);
    pointers.set(event.pointerId, place(event));
    gesture?.move(...place(event), event);
  });
  const end = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    if (!pointers.size || gesture?.move === undefined) {
      gesture?.end();
      gesture = null;
    }
    redrawAbove();
  };
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);
  box.addEventListener("wheel", wheel, { passive: false });
  box.addEventListener("contextmenu", (event) => event.preventDefault());
}
