// What the page knows, in one place. Modules read `store.state`, change it with `store.set({...})` and follow one key
// with `store.on(key, fn)`. Values are replaced, never changed in place: a Set with one more note is a new Set.

/** A selection: numbers of notes; [first, last] bar from 0, both in; numbers of parts. */
export const NOTHING = { notes: new Set(), bars: null, parts: new Set() };

const state = {
  status: null, // of the server: models, settings, formats, limits (GET /api/status)
  pieces: [], // what the project folder holds, newest first
  piece: null, // the open piece (GET /api/pieces/ID)
  selection: NOTHING,
  cursor: 0, // ticks: where playing starts and pasting goes
  playing: false,
  position: 0, // ticks: where the line is
  loop: null, // [from, to) in ticks
  tempo: 1, // times the piece's own
  mutes: new Set(), // numbers of parts
  solos: new Set(),
  volumes: new Map(), // number of a part -> 0..1, 0.8 where it is missing
  candidates: null, // {job, revision, list: [{number, rank, nats, before, likeness, reason, remove, add}]} of a redo
  candidate: 0, // the candidate heard and seen in place of what it replaces; 0 the original
  growing: null, // while composing: a piece without id of what is certain so far
  preview: null, // a piece without id, heard instead of the open one (a passage of the training music)
  surprise: null, // {revision, nats: [for each note]}
  originality: null, // {revision, longest, share, matches: [{bars: [first, last], file, length, their_bars}]}
  match: null, // number of the match of `originality` that is looked at
  plan: null, // {form: [letter per bar], chords: [text per bar]} as wished for above the roll; "" as it is
  sound: "synth", // "synth": the page's own; "soundfont": rendered by the server
  view: "roll", // "roll" or "score"
  panel: "compose", // the open tab
  error: null, // a sentence, shown and spoken at once
  notice: null, // a sentence, shown for a moment and spoken when there is time
  lost: false, // whether the server doesn't answer
};

const followers = new Map();

export const store = {
  state,

  /** Replaces the keys of `patch`; then tells the followers of each that changed: fn(value, before). */
  set(patch) {
    const changed = [];
    for (const [key, value] of Object.entries(patch)) {
      if (!(key in state)) throw new Error(`the store has no ${key}`);
      if (!Object.is(state[key], value)) changed.push([key, value, state[key]]);
      state[key] = value;
    }
    for (const [key, value, before] of changed) {
      for (const fn of followers.get(key) ?? []) {
        try {
          fn(value, before);
        } catch (error) {
          reportError(error); // the mistake of one follower is not the others' loss
        }
      }
    }
  },

  /** Calls fn(value, before) after each change of a key, or of any of several. Returns what ends that. */
  on(keys, fn) {
    const list = [keys].flat();
    for (const key of list) {
      if (!(key in state)) throw new Error(`the store has no ${key}`);
      if (!followers.has(key)) followers.set(key, new Set());
      followers.get(key).add(fn);
    }
    return () => list.forEach((key) => followers.get(key).delete(fn));
  },
};


/** Selects notes, bars or parts; what isn't named is no longer selected. */
export function select(patch = {}) {
  store.set({ selection: { ...NOTHING, ...patch } });
}

/** Moves the cursor, and the line with it unless it runs. */
export function moveTo(cursor) {
  store.set({ cursor, ...(state.playing ? {} : { position: cursor }) });
}

/** Shows and speaks a sentence that isn't an error. */
export function say(notice) {
  store.set({ notice: null });
  store.set({ notice });
}

/** Shows and speaks an error, anew where it is the one that stands there. */
export function complain(error) {
  store.set({ error: null });
  store.set({ error });
}

/** The bar, from 0, that a tick lies in. */
export function barOf(piece, tick) {
  let low = 0;
  let high = Math.max(piece.bars.length - 2, 0);
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (piece.bars[middle] <= tick) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** The ticks [from, to) of the bars from `first` to `last`, both included. */
export function ticksOf(piece, [first, last]) {
  return [piece.bars[first] ?? 0, piece.bars[last + 1] ?? piece.length];
}

/** "Bars 3 to 5" of bars from 0, both included. */
export const barsInWords = ([first, last]) => (first === last ? `Bar ${first + 1}` : `Bars ${first + 1} to ${last + 1}`);

/** What is selected in the words of a redo: {bars: [first, last] | null, parts: [numbers]}, from the selected notes
 *  where neither bars nor parts are. */
export function scope() {
  const { piece, selection } = store.state;
  const notes = piece ? [...selection.notes].map((number) => piece.notes[number]).filter(Boolean) : [];
  let { bars } = selection;
  if (!bars && notes.length) {
    let [from, to] = [Infinity, 0];
    for (const note of notes) [from, to] = [Math.min(from, note[1]), Math.max(to, note[1])];
    bars = [barOf(piece, from), barOf(piece, to)];
  }
  const parts = selection.parts.size ? selection.parts : new Set(notes.map((note) => note[0]));
  return { bars, parts: [...parts].sort((a, b) => a - b) };
}

/** The candidate that is heard in place of what it replaces, or undefined. */
const heard = () => store.state.candidates?.list.find((one) => one.number === store.state.candidate);

const extended = new WeakMap(); // candidate -> the piece with the bars and parts that it adds

function extend(piece, candidate) {
  const { parts = [], length = 0 } = candidate;
  if (!parts.length && length <= piece.length) return piece;
  if (extended.get(candidate)?.of !== piece) {
    const [bars, beats] = [[...piece.bars], [...piece.beats]];
    const bar = Math.max(1, bars.at(-1) - (bars.at(-2) ?? 0));
    const beat = Math.max(1, beats.length > 1 ? beats.at(-1) - beats.at(-2) : bar);
    while (bars.at(-1) < length) bars.push(bars.at(-1) + bar);
    while (beats.at(-1) + beat < length) beats.push(beats.at(-1) + beat);
    extended.set(candidate, { ...piece, of: piece, parts: [...piece.parts, ...parts], length: Math.max(length, piece.length), bars, beats });
  }
  return extended.get(candidate);
}

/** What is seen and heard now: a preview, a piece that is being composed, or the open piece, longer and with more parts
 *  where the chosen candidate adds some. */
export function shown() {
  const { preview, growing, piece } = store.state;
  if (preview ?? growing) return preview ?? growing;
  return piece && heard() ? extend(piece, heard()) : piece;
}

/** Whether what is shown is the open piece, with a candidate or without. */
export const isOwn = () => Boolean(store.state.piece) && !store.state.preview && !store.state.growing;

/** The notes as they are heard and seen now: [{note, number, added}], the chosen candidate in place of what it
 *  replaces. */
export function soundingNotes() {
  const piece = shown();
  if (!piece) return [];
  const candidate = isOwn() ? heard() : undefined;
  const gone = new Set(candidate ? candidate.remove : []);
  const notes = [];
  piece.notes.forEach((note, number) => gone.has(number) || notes.push({ note, number, added: false }));
  if (candidate) for (const note of candidate.add) notes.push({ note, number: -1, added: true });
  return notes;
}
