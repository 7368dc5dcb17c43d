// Talks to the studio's server. Whatever goes wrong becomes a sentence in `store.state.error`, and the promise is
// rejected with a `Refused` that callers may ignore (`.catch(ignore)`): the person has been told.

import { complain, NOTHING, say, store } from "./store.js";

const TOKEN = new URLSearchParams(location.search).get("token") ?? "";
const STOPPED = "The studio has stopped. Start it again with “melodygru studio”: all is saved.";
const RESTARTED = "The studio was started again: open the address that it printed.";
const RETRY_MS = 1500;

export class Refused extends Error {
  constructor(sentence, status, answer) {
    super(sentence);
    this.status = status;
    this.answer = answer;
  }
}

/** For `.catch`: what the server refused was said already; anything else is a mistake of this page. */
export function ignore(error) {
  if (!(error instanceof Refused)) throw error;
}

/** A path with a query, but for what is null in it. */
function withQuery(path, query) {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== null && value !== undefined));
  return search.size ? `${path}?${search}` : path;
}

/** The address of a path with the token, for downloads, drags, audio and images. */
export const address = (path, query = {}) => new URL(withQuery(path, { ...query, token: TOKEN }), location.origin).href;

let retrying = 0;

function lose() {
  if (retrying) return;
  store.set({ lost: true, error: STOPPED });
  retrying = setInterval(async () => {
    let response;
    try {
      response = await fetch("/api/status", { headers: { "X-Melodygru-Token": TOKEN }, cache: "no-store" });
    } catch {
      return;
    }
    if (response.status === 403) return store.set({ error: RESTARTED });
    if (!response.ok) return;
    clearInterval(retrying);
    retrying = 0;
    store.set({ lost: false, error: null, status: await response.json() });
    store.set({ pieces: store.state.status.pieces });
    say("The studio is back.");
    if (store.state.piece) open(store.state.piece.id).catch(ignore);
  }, RETRY_MS);
}

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { cache: "no-store", ...options, headers: { "X-Melodygru-Token": TOKEN, ...options.headers } });
  } catch (error) {
    if (error.name === "AbortError") throw new Refused("", 0);
    lose();
    throw new Refused(STOPPED, 0);
  }
  if (response.ok) return response;
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // An answer without a sentence: the status alone says what can be said.
  }
  const sentence = answer.error ?? `The studio could not do that (${response.status}). Its terminal says more.`;
  if (response.status === 409 && answer.piece?.id === store.state.piece?.id) show(answer.piece);
  complain(sentence);
  throw new Refused(sentence, response.status, answer);
}

async function content(response) {
  const type = response.headers.get("content-type") ?? "";
  return type.includes("json") ? response.json() : response.status === 204 ? null : response.text();
}

/** GET: the JSON, or the text of what isn't JSON. */
export async function get(path, query = {}, options = {}) {
  return content(await call(withQuery(path, query), options));
}

/** GET of bytes, for sound. */
export async function bytes(path, query = {}, options = {}) {
  return (await call(withQuery(path, query), options)).arrayBuffer();
}

async function send(method, path, body) {
  const options = { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  return content(await call(path, options));
}

/** POST of JSON. */
export const post = (path, body = {}) => send("POST", path, body);

/** DELETE. */
export const remove = (path) => send("DELETE", path, {});

/** Brings files in, one after another: the pieces made of those that could be read. */
export async function upload(files) {
  const pieces = [];
  for (const file of files) {
    const form = new FormData();
    form.append("file", file, file.name);
    try {
      pieces.push(await content(await call("/api/pieces", { method: "POST", body: form })));
    } catch (error) {
      ignore(error);
    }
  }
  await refresh();
  return pieces;
}

/** Follows server-sent events: handlers by the event's name. Ends itself after `done` or `failed`, whose sentence is
 *  shown. Returns {close}. */
export function events(path, handlers) {
  const source = new EventSource(address(path));
  for (const name of new Set([...Object.keys(handlers), "done", "failed"])) {
    source.addEventListener(name, (event) => {
      const data = event.data ? JSON.parse(event.data) : {};
      if (name === "done" || name === "failed") source.close();
      if (name === "failed" && data.error) complain(data.error);
      handlers[name]?.(data);
    });
  }
  // A lost connection comes back by itself; only a server that is gone is worth a word, and `call` says it.
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) handlers.failed?.({});
    call("/api/status").catch(ignore);
  };
  return { close: () => source.close() };
}

/** Reads the list of pieces again. */
export async function refresh() {
  const status = await get("/api/status");
  store.set({ status, pieces: status.pieces });
  return status;
}

/** Opens a piece: everything that belonged to another one is forgotten. */
export async function open(id) {
  const piece = await get(`/api/pieces/${id}`);
  show(piece);
  return piece;
}

/** Shows a piece that the server has answered with; a newer revision of the open one keeps what is selected. */
export function show(piece) {
  const { piece: before, growing, playing, selection } = store.state;
  const another = before?.id !== piece.id;
  const patch = { piece };
  if (another || before.revision !== piece.revision) Object.assign(patch, OF_A_REVISION);
  if (another) {
    Object.assign(patch, { selection: NOTHING, loop: null, plan: null });
    Object.assign(patch, { tempo: 1, mutes: new Set(), solos: new Set(), volumes: new Map() });
    // A piece that was heard while it was composed goes on being heard.
    if (!(growing && playing)) Object.assign(patch, { cursor: 0, position: 0 });
  } else if (patch.candidates === null && selection.notes.size) {
    patch.selection = { ...selection, notes: numbersOf(piece, [...selection.notes].map((number) => before.notes[number])) };
  }
  store.set(patch);
}

const OF_A_REVISION = { candidates: null, candidate: 0, surprise: null, originality: null, match: null, preview: null, growing: null };

/** The numbers, in a piece, of notes that are written the same; each number once. */
export function numbersOf(piece, notes) {
  const wanted = new Map();
  for (const note of notes) if (note) wanted.set(note.join(), (wanted.get(note.join()) ?? 0) + 1);
  const numbers = new Set();
  piece.notes.forEach((note, number) => {
    const left = wanted.get(note.join());
    if (left) numbers.add(number), wanted.set(note.join(), left - 1);
  });
  return numbers;
}

let queue = Promise.resolve();

/** Changes the open piece: POST to `/api/pieces/ID/<what>` with its revision. One after another, so that each sees the
 *  revision that the one before has made: `body` may be a function of the piece, and `after(piece)` runs before the
 *  next one's turn. Resolves to the piece as it is then; a body of null changes nothing. */
export function change(what, body = {}, after = () => {}) {
  const { id } = store.state.piece;
  const turn = queue.then(async () => {
    const { piece } = store.state;
    if (piece.id !== id) throw new Refused("", 0);
    const content = typeof body === "function" ? body(piece) : body;
    if (content === null) return piece;
    const answer = await post(`/api/pieces/${id}/${what}`, { revision: piece.revision, ...content });
    if (store.state.piece.id !== id) throw new Refused("", 0);
    show(answer);
    after(answer);
    return answer;
  });
  queue = turn.catch(() => {});
  return turn;
}
