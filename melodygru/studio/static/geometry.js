// Where things lie in the piano roll: ticks and pitches <-> places on the screen, in px.

import { shown, ticksOf } from "./store.js";

export const KEYS = 46; // the keyboard's width
export const RULER = 20;
export const FORM = 17;
export const CHORDS = 19;
export const TOP = RULER + FORM + CHORDS;
export const LOUD = 54; // the velocities' lane
export const WHOLE = 26; // the whole piece, below everything
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** What is visible: `left` in ticks, `scale` in px a tick, `top` in px from pitch 127, `row` the height of a pitch. */
export const view = { left: 0, scale: 0.1, top: 0, row: 10, width: 0, height: 0, ratio: 1 };

/** What a pointer drags: notes where they would lie, the numbers of those that they were, [x, y, x, y], velocities by
 *  number of a note. */
export const drag = { ghosts: null, carried: null, rectangle: null, loud: null };

export const isBlack = (pitch) => [1, 3, 6, 8, 10].includes(pitch % 12);
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;
export const xOf = (tick) => KEYS + (tick - view.left) * view.scale;
export const tickOf = (x) => view.left + (x - KEYS) / view.scale;
export const yOf = (pitch) => TOP + (127 - pitch) * view.row - view.top;
export const pitchOf = (y) => Math.max(0, Math.min(127, 127 - Math.floor((y - TOP + view.top) / view.row)));

/** Where the notes end and the velocities begin. */
export const noteBottom = () => view.height - LOUD - WHOLE;

/** The first index of a sorted array whose value is greater. */
export function searched(array, value) {
  let [low, high] = [0, array.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (array[middle] <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Where a point lies: "keys", "ruler", "form", "chords", "notes", "loud", "whole". */
export function zoneOf(x, y) {
  if (y >= view.height - WHOLE) return "whole";
  if (x < KEYS) return y >= TOP && y < noteBottom() ? "keys" : "corner";
  if (y < RULER) return "ruler";
  if (y < RULER + FORM) return "form";
  if (y < TOP) return "chords";
  return y < noteBottom() ? "notes" : "loud";
}

/** The place of a lane's cell, for an input that is laid over it. */
export function cellOf(lane, bar) {
  const [from] = ticksOf(shown(), [bar, bar]);
  return { left: Math.max(KEYS, xOf(from)), top: lane === "form" ? RULER - 2 : RULER + FORM - 1 };
}
