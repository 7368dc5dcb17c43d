// What the piano roll looks like. Only what is visible is drawn: notes lie in groups of one colour, each sorted by onset,
// so that finding them is a search.

import { drag, FORM, isBlack, KEYS, LOUD, noteBottom, pitchName, pitchOf, RULER, searched, tickOf, TOP, view, WHOLE, xOf, yOf, CHORDS } from "./geometry.js";
import { isHeard } from "./player.js";
import { barOf, isOwn, shown, soundingNotes, store, ticksOf } from "./store.js";

const LEVELS = 4; // shades of velocity
const PARTS = 12; // colours
const ROUNDED = 1200; // so many visible notes are drawn with round corners
const MOST_NATS = 9; // a note as surprising as that has the hottest colour
const HEATS = 12;

let whole = null; // the picture of the whole piece, made once for its notes
let groups = [];
let colours = {};

const colourOf = (part) => colours[`part-${part % PARTS}`];

// --- what is drawn, grouped ---

/** Reads the colours of the style sheet, light or dark. */
export function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["bg", "surface", "raised", "line", "line-strong", "text", "muted", "accent", "accent-text", "accent-soft", "danger", "warn", "roll-white", "roll-black", "roll-octave", "roll-beat", "roll-bar", "roll-line", "roll-chosen", "roll-bars", "roll-loop", "roll-match", "roll-on-note", "key-white", "key-black"];
  for (let part = 0; part < PARTS; part++) names.push(`part-${part}`);
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** From calm to hot; the same order of lightness for those who don't see red. */
function heat(nats) {
  const share = Math.max(0, Math.min(1, nats / MOST_NATS));
  const stops = [[68, 96, 168], [62, 150, 150], [196, 172, 60], [226, 116, 44], [200, 36, 52]];
  const at = share * (stops.length - 1);
  const [low, high] = [stops[Math.floor(at)], stops[Math.ceil(at)]];
  return `rgb(${low.map((value, i) => Math.round(value + (high[i] - value) * (at % 1))).join(" ")})`;
}

/** Finds what is drawn anew: call it when notes or their looks have changed. */
export function group() {
  const { surprise, piece, selection } = store.state;
  const nats = surprise && piece && surprise.revision === piece.revision && isOwn() ? surprise.nats : null;
  const found = new Map();
  for (const { note, number, added } of soundingNotes()) {
    const [part, , , , velocity] = note;
    const level = Math.min(LEVELS - 1, velocity >> 5);
    const hot = nats && number >= 0 && nats[number] !== null ? Math.min(HEATS - 1, Math.floor((nats[number] / MOST_NATS) * HEATS)) : -1;
    const faint = !isHeard(part) ? 2 : selection.parts.size && !selection.parts.has(part) ? 1 : 0;
    const key = (((faint * 2 + (added ? 1 : 0)) * (HEATS + 1) + hot + 1) * 1024 + part) * LEVELS + level;
    if (!found.has(key)) found.set(key, { key, part, added, faint, fill: hot >= 0 ? heat((hot / (HEATS - 1)) * MOST_NATS) : colourOf(part), alpha: [1, 0.38, 0.16][faint] * (hot >= 0 ? 1 : [0.5, 0.68, 0.84, 1][level]), list: [] });
    found.get(key).list.push([note, number]);
  }
  groups = [...found.values()].sort((a, b) => b.faint - a.faint || a.added - b.added || a.part - b.part || a.key - b.key);
  for (const one of groups) {
    one.list.sort((a, b) => a[0][1] - b[0][1]);
    one.onset = Float64Array.from(one.list, ([note]) => note[1]);
    one.end = Float64Array.from(one.list, ([note]) => note[1] + note[2]);
    one.pitch = Uint8Array.from(one.list, ([note]) => note[3]);
    one.velocity = Uint8Array.from(one.list, ([note]) => note[4]);
    one.number = Int32Array.from(one.list, ([, number]) => number);
    let reach = 0;
    one.reach = Float64Array.from(one.end, (end) => (reach = Math.max(reach, end))); // the latest end so far
    delete one.list;
  }
  whole = null;
}

/** The notes of a group that may be visible: from the first whose end, or an earlier one's, lies to the right of `from`. */
const between = (one, from, to) => [searched(one.reach, from), searched(one.onset, to)];

/** The notes in a rectangle of ticks and pitches, the one on top last: [{number, note}]. */
export function notesIn(from, to, low, high) {
  const piece = shown();
  const found = [];
  for (const one of groups) {
    const [first, last] = between(one, from, to);
    for (let i = first; i < last; i++) if (one.end[i] > from && one.pitch[i] >= low && one.pitch[i] <= high && one.number[i] >= 0) found.push({ number: one.number[i], note: piece.notes[one.number[i]], faint: one.faint });
  }
  return found;
}

// --- drawing ---

function fit(canvas) {
  const [width, height] = [Math.round(view.width * view.ratio), Math.round(view.height * view.ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  return pen;
}

function clipped(pen, x, y, width, height, draw) {
  pen.save();
  pen.beginPath();
  pen.rect(x, y, width, height);
  pen.clip();
  draw();
  pen.restore();
}

function drawRows(pen, bottom) {
  const [high, low] = [pitchOf(TOP), pitchOf(bottom)];
  pen.fillStyle = colours["roll-white"];
  pen.fillRect(KEYS, TOP, view.width - KEYS, bottom - TOP);
  pen.fillStyle = colours["roll-black"];
  for (let pitch = low; pitch <= high; pitch++) if (isBlack(pitch)) pen.fillRect(KEYS, yOf(pitch), view.width - KEYS, view.row);
  pen.fillStyle = colours["roll-octave"];
  for (let pitch = low; pitch <= high; pitch++) if (pitch % 12 === 0) pen.fillRect(KEYS, yOf(pitch) + view.row - 0.5, view.width - KEYS, 1);
}

function drawGrid(pen, piece, bottom) {
  const [from, to] = [view.left, tickOf(view.width)];
  const lines = (ticks, colour, top, stride = 1) => {
    pen.fillStyle = colour;
    for (let i = Math.ceil(searched(ticks, from - 1e-6) / stride) * stride; i < ticks.length && ticks[i] <= to; i += stride) pen.fillRect(Math.round(xOf(ticks[i])), top, 1, bottom - top);
  };
  const beat = piece.ticks_per_beat * view.scale;
  if (beat > 56) lines(everyStep(piece, from, to), colours["roll-beat"], TOP);
  if (beat > 7) lines(piece.beats, beat > 56 ? colours["roll-octave"] : colours["roll-beat"], TOP);
  lines(piece.bars, colours["roll-bar"], RULER, strideOf(piece, 9));
}

/** Every how many bars something stands so that `least` px lie between: 1, 2, 4, 8, ... */
function strideOf(piece, least) {
  const bar = (piece.length / Math.max(1, piece.bars.length - 1)) * view.scale;
  let stride = 1;
  while (bar > 0 && stride * bar < least) stride *= 2;
  return stride;
}

function everyStep(piece, from, to) {
  const step = piece.ticks_per_beat / 4;
  const ticks = [];
  for (let tick = Math.floor(from / step) * step; tick <= to; tick += step) ticks.push(tick);
  return ticks;
}

function drawShades(pen, piece, bottom) {
  const { selection, originality, match, loop } = store.state;
  const column = (bars, colour) => {
    const [from, to] = ticksOf(piece, bars).map(xOf);
    if (to < KEYS || from > view.width) return;
    pen.fillStyle = colour;
    pen.fillRect(from, RULER, to - from, bottom - RULER);
  };
  if (isOwn() && originality && originality.revision === piece.revision) {
    originality.matches.forEach((one, number) => {
      column(one.bars, colours["roll-match"]);
      if (number === match) column(one.bars, colours["roll-match"]);
    });
  }
  if (selection.bars && isOwn()) column(selection.bars, colours["roll-bars"]);
  if (loop) {
    pen.fillStyle = colours["roll-loop"];
    for (const tick of loop) pen.fillRect(Math.round(xOf(tick)) - 1, RULER, 1.5, bottom - RULER);
  }
}

function drawNotes(pen, bottom) {
  const [from, to] = [view.left, tickOf(view.width)];
  const [high, low] = [pitchOf(TOP), pitchOf(bottom)];
  const chosen = store.state.selection.notes;
  const spans = groups.map((one) => between(one, from, to));
  const count = spans.reduce((sum, [first, last]) => sum + Math.max(0, last - first), 0);
  const round = count <= ROUNDED && view.row >= 6;
  const height = round ? Math.max(1, view.row - 1) : Math.max(1, Math.round(view.row - 1));
  const [marked, carried] = [[], []];
  groups.forEach((one, at) => {
    const [first, last] = spans[at];
    if (first >= last) return;
    pen.fillStyle = one.fill;
    pen.globalAlpha = one.alpha;
    if (round) pen.beginPath();
    for (let i = first; i < last; i++) {
      if (one.pitch[i] < low || one.pitch[i] > high || one.end[i] < from) continue;
      let x = xOf(one.onset[i]);
      const width = Math.max(2, Math.round((one.end[i] - one.onset[i]) * view.scale - 1));
      let y = yOf(one.pitch[i]) + 0.5;
      if (!round) [x, y] = [Math.round(x), Math.round(y)]; // whole pixels are drawn faster
      if (drag.carried?.has(one.number[i])) {
        carried.push(x, y, width, height);
        continue;
      }
      if (round) pen.roundRect(x, y, width, height, Math.min(3, width / 2, height / 3));
      else pen.fillRect(x, y, width, height);
      if (one.added || chosen.has(one.number[i])) marked.push(x, y, width, height, one.added ? 1 : 0);
    }
    if (round) pen.fill();
  });
  pen.globalAlpha = 0.35;
  pen.fillStyle = colours.muted;
  for (let i = 0; i < carried.length; i += 4) pen.fillRect(...carried.slice(i, i + 4));
  pen.globalAlpha = 1;
  pen.lineWidth = 1.5;
  for (let i = 0; i < marked.length; i += 5) {
    const [x, y, width, height_, added] = marked.slice(i, i + 5);
    pen.strokeStyle = added ? colours.accent : colours["roll-chosen"];
    pen.strokeRect(x + 0.75, y + 0.75, Math.max(0.5, width - 1.5), Math.max(0.5, height_ - 1.5));
  }
  if (round && view.row >= 13 && !chosen.size) nameNotes(pen, spans, low, high);
}

function nameNotes(pen, spans, low, high) {
  pen.fillStyle = colours["roll-on-note"];
  pen.font = "10px system-ui, sans-serif";
  pen.textBaseline = "middle";
  groups.forEach((one, at) => {
    if (one.faint) return;
    for (let i = spans[at][0]; i < spans[at][1]; i++) {
      const width = (one.end[i] - one.onset[i]) * view.scale;
      if (width > 26 && one.pitch[i] >= low && one.pitch[i] <= high) pen.fillText(pitchName(one.pitch[i]), xOf(one.onset[i]) + 4, yOf(one.pitch[i]) + view.row / 2 + 1);
    }
  });
}

function drawLoud(pen) {
  const [top, height] = [noteBottom(), LOUD];
  pen.fillStyle = colours.surface;
  pen.fillRect(0, top, view.width, height);
  pen.fillStyle = colours.line;
  pen.fillRect(0, top, view.width, 1);
  pen.fillStyle = colours["roll-beat"];
  pen.fillRect(KEYS, top + height / 2, view.width - KEYS, 1);
  const [from, to] = [view.left, tickOf(view.width)];
  const chosen = store.state.selection.notes;
  const changes = drag.loud;
  const wide = view.scale * shown().ticks_per_beat < 12 ? 1 : 3;
  clipped(pen, KEYS, top, view.width - KEYS, height, () => {
    for (const one of groups) {
      const [first, last] = [searched(one.onset, from - 1e-6), searched(one.onset, to)];
      pen.fillStyle = one.fill;
      for (let i = first; i < last; i++) {
        const number = one.number[i];
        const velocity = changes?.get(number) ?? one.velocity[i];
        const tall = Math.round((velocity / 127) * (height - 8));
        pen.globalAlpha = one.faint ? 0.2 : chosen.size && !chosen.has(number) ? 0.3 : 0.9;
        pen.fillRect(Math.round(xOf(one.onset[i])), top + height - tall, wide, tall);
      }
    }
    pen.globalAlpha = 1;
  });
  pen.fillStyle = colours.surface;
  pen.fillRect(0, top + 1, KEYS, height);
  label(pen, "Velocity", 4, top + 14);
}

function label(pen, text, x, y, colour = colours.muted, font = "10px system-ui, sans-serif") {
  pen.fillStyle = colour;
  pen.font = font;
  pen.textBaseline = "alphabetic";
  pen.fillText(text, x, y);
}

function drawLanes(pen, piece) {
  pen.fillStyle = colours.surface;
  pen.fillRect(0, 0, view.width, TOP);
  const { selection, plan, loop } = store.state;
  const last = piece.bars.length - 1;
  const beatWide = piece.ticks_per_beat * view.scale;
  clipped(pen, KEYS, 0, view.width - KEYS, TOP, () => {
    if (selection.bars && isOwn()) {
      const [from, to] = ticksOf(piece, selection.bars).map(xOf);
      pen.fillStyle = colours.accent;
      pen.fillRect(from, 0, to - from, RULER);
    }
    if (loop) {
      const [from, to] = loop.map(xOf);
      pen.fillStyle = colours["roll-loop"];
      pen.fillRect(from, RULER - 3, to - from, 3);
    }
    const [first, end] = [Math.max(0, searched(piece.bars, view.left) - 1), searched(piece.bars, tickOf(view.width))];
    const stride = strideOf(piece, 32);
    for (let bar = Math.floor(first / stride) * stride; bar < Math.min(end, last); bar += stride) {
      const x = xOf(piece.bars[bar]);
      const chosen = isOwn() && selection.bars && bar >= selection.bars[0] && bar <= selection.bars[1];
      pen.fillStyle = colours["roll-bar"];
      pen.fillRect(Math.round(x), 0, 1, RULER);
      label(pen, String(bar + 1), x + 4, 14, chosen ? colours["accent-text"] : colours.text, "11px system-ui, sans-serif");
    }
    drawForm(pen, piece, first, Math.min(end, last), plan);
    if (!piece.chords?.length && !plan?.chords.some(Boolean) && isOwn()) label(pen, "double-click to wish for chords", KEYS + 5, TOP - 6, colours.muted, "11px system-ui, sans-serif");
    let free = -Infinity;
    const wished = plan?.chords;
    const names = [];
    for (const [tick, name] of piece.chords ?? []) if (!wished?.[barOf(piece, tick)]) names.push([tick, name, false]);
    wished?.forEach((text, bar) => text && names.push([piece.bars[bar], text, true]));
    names.sort((a, b) => a[0] - b[0]);
    pen.font = "11px system-ui, sans-serif";
    names.forEach(([tick, name, wish], at) => {
      const x = xOf(tick);
      const until = names[at + 1] ? xOf(names[at + 1][0]) : Infinity;
      if (until < KEYS || x > view.width || x < free) return;
      if (beatWide < 10 && !wish && !piece.bars.includes(tick)) return;
      const wide = pen.measureText(name).width;
      if (wish) {
        pen.fillStyle = colours["accent-soft"];
        pen.fillRect(x + 1, RULER + FORM + 1, wide + 6, CHORDS - 2);
      }
      label(pen, name, x + 4, TOP - 6, wish ? colours.accent : colours.text, wish ? "600 11px system-ui, sans-serif" : "11px system-ui, sans-serif");
      free = x + wide + 9;
    });
  });
  pen.fillStyle = colours.line;
  for (const y of [RULER, RULER + FORM, TOP]) pen.fillRect(0, y - 1, view.width, 1);
  label(pen, "Bar", 5, 14);
  label(pen, "Form", 5, RULER + 12);
  label(pen, "Chords", 5, RULER + FORM + 13);
}

function drawForm(pen, piece, first, last, plan) {
  const letters = Array.from({ length: piece.bars.length - 1 }, (_, bar) => plan?.form?.[bar] || piece.form?.[bar] || "");
  for (let bar = first; bar < last; ) {
    let end = bar + 1;
    while (end < last && letters[end] === letters[bar]) end++;
    if (letters[bar]) {
      const [x, until] = [Math.max(KEYS, xOf(piece.bars[bar])), xOf(piece.bars[end])];
      pen.fillStyle = colourOf(letters[bar].toUpperCase().charCodeAt(0) - 65 + 4);
      pen.globalAlpha = 0.22;
      pen.fillRect(x + 1, RULER + 1, until - x - 2, FORM - 3);
      pen.globalAlpha = 1;
      if (until - x > 12) label(pen, letters[bar], x + 5, RULER + 12, plan?.form?.[bar] ? colours.accent : colours.text, "600 11px system-ui, sans-serif");
    }
    bar = end;
  }
}

function drawKeys(pen, bottom) {
  clipped(pen, 0, TOP, KEYS, bottom - TOP, () => {
    pen.fillStyle = colours["key-white"];
    pen.fillRect(0, TOP, KEYS, bottom - TOP);
    const [high, low] = [pitchOf(TOP), pitchOf(bottom)];
    for (let pitch = low; pitch <= high; pitch++) {
      const y = yOf(pitch);
      if (isBlack(pitch)) {
        pen.fillStyle = colours["key-black"];
        pen.fillRect(0, y, KEYS * 0.6, view.row);
      } else if (pitch % 12 === 0 || pitch % 12 === 5) {
        pen.fillStyle = colours["line-strong"];
        pen.fillRect(0, y + view.row - 0.5, KEYS, 1);
      }
      if (pitch % 12 === 0 && view.row >= 5) label(pen, pitchName(pitch), KEYS - 19, y + view.row / 2 + 3.5, "#4a5161");
    }
    pen.fillStyle = colours.line;
    pen.fillRect(KEYS - 1, TOP, 1, bottom - TOP);
  });
}

function drawWhole(pen, piece) {
  const top = view.height - WHOLE;
  if (whole?.width !== Math.round(view.width * view.ratio)) {
    whole = new OffscreenCanvas(Math.max(1, Math.round(view.width * view.ratio)), Math.round(WHOLE * view.ratio));
    const own = whole.getContext("2d");
    own.scale(view.ratio, view.ratio);
    own.fillStyle = colours.bg;
    own.fillRect(0, 0, view.width, WHOLE);
    const wide = view.width / Math.max(1, piece.length);
    const pitches = groups.flatMap((one) => [Math.min(...chunked(one.pitch, Math.min)), Math.max(...chunked(one.pitch, Math.max))]);
    const [low, high] = pitches.length ? [Math.min(...pitches), Math.max(...pitches)] : [48, 72];
    for (const one of groups) {
      own.fillStyle = one.fill;
      own.globalAlpha = one.faint ? 0.25 : 0.85;
      for (let i = 0; i < one.onset.length; i++) own.fillRect(one.onset[i] * wide, 3 + ((high - one.pitch[i]) / Math.max(1, high - low)) * (WHOLE - 8), Math.max(1, (one.end[i] - one.onset[i]) * wide), 1.5);
    }
  }
  pen.drawImage(whole, 0, top, view.width, WHOLE);
  pen.fillStyle = colours.line;
  pen.fillRect(0, top, view.width, 1);
  const [x, width] = [view.left / piece.length, (view.width - KEYS) / view.scale / piece.length].map((share) => share * view.width);
  pen.strokeStyle = colours.accent;
  pen.lineWidth = 1.5;
  pen.strokeRect(Math.max(0.75, x), top + 1.5, Math.min(view.width - 1.5, Math.max(6, width)), WHOLE - 3);
}

function* chunked(array, pick) {
  for (let i = 0; i < array.length; i += 4096) yield pick(...array.subarray(i, i + 4096));
}

/** Draws everything but what moves while the view stays. */
export function drawGround(canvas) {
  const pen = fit(canvas);
  const piece = shown();
  pen.fillStyle = colours["roll-white"];
  pen.fillRect(0, 0, view.width, view.height);
  if (!piece) return;
  const bottom = noteBottom();
  clipped(pen, KEYS, RULER, view.width - KEYS, bottom - RULER, () => {
    drawRows(pen, bottom);
    drawShades(pen, piece, bottom);
    drawGrid(pen, piece, bottom);
    clipped(pen, KEYS, TOP, view.width - KEYS, bottom - TOP, () => drawNotes(pen, bottom));
    const end = xOf(Math.max(piece.length, piece.bars.at(-1) ?? 0));
    if (end < view.width) {
      pen.fillStyle = colours.bg;
      pen.globalAlpha = 0.7;
      pen.fillRect(end, TOP, view.width - end, bottom - TOP);
      pen.globalAlpha = 1;
    }
  });
  drawLanes(pen, piece);
  drawKeys(pen, bottom);
  drawLoud(pen);
  drawWhole(pen, piece);
}

/** Draws what moves: the line, the cursor, what a pointer drags. */
export function drawAbove(canvas) {
  const pen = fit(canvas);
  pen.clearRect(0, 0, view.width, view.height);
  const piece = shown();
  if (!piece) return;
  const bottom = noteBottom();
  const { position, cursor, playing } = store.state;
  clipped(pen, KEYS, 0, view.width - KEYS, bottom, () => {
    const at = xOf(cursor);
    pen.fillStyle = colours.accent;
    pen.beginPath();
    pen.moveTo(at - 5, RULER - 8);
    pen.lineTo(at + 5, RULER - 8);
    pen.lineTo(at, RULER - 1);
    pen.fill();
    if (!playing) {
      pen.globalAlpha = 0.6;
      pen.fillRect(Math.round(at), RULER, 1, bottom - RULER);
      pen.globalAlpha = 1;
    }
    for (const [part, onset, duration, pitch] of drag.ghosts ?? []) {
      pen.fillStyle = colourOf(part);
      pen.globalAlpha = 0.75;
      pen.fillRect(xOf(onset), yOf(pitch) + 0.5, Math.max(2, duration * view.scale - 1), Math.max(1, view.row - 1));
      pen.globalAlpha = 1;
      pen.strokeStyle = colours["roll-chosen"];
      pen.strokeRect(xOf(onset) + 0.5, yOf(pitch) + 1, Math.max(1, duration * view.scale - 2), Math.max(1, view.row - 2));
    }
    if (drag.rectangle) {
      const [x, y, u, v] = drag.rectangle;
      pen.fillStyle = colours["roll-bars"];
      pen.fillRect(x, y, u - x, v - y);
      pen.strokeStyle = colours.accent;
      pen.strokeRect(x + 0.5, y + 0.5, u - x, v - y);
    }
  });
  if (playing) {
    const x = Math.round(xOf(position));
    pen.fillStyle = colours["roll-line"];
    if (x >= KEYS) pen.fillRect(x, 0, 2, view.height - WHOLE);
  }
  pen.fillStyle = playing ? colours["roll-line"] : colours.accent;
  pen.fillRect(((playing ? position : cursor) / piece.length) * view.width, view.height - WHOLE, 1.5, WHOLE);
}
