// Trust: what of a piece stands in the training music, how it was made, and making it again.

import { get, ignore, post } from "../api.js";
import { play, stop } from "../player.js";
import { barsInWords, say, store, ticksOf } from "../store.js";
import { button, counted, el, jobLine } from "./dom.js";
import { declared } from "./settings.js";

let changed = () => {};
const line = jobLine(() => changed());
const percent = (share) => `${Math.round(share * 1000) / 10}%`;

export function mount(element) {
  const figures = el("div", { class: "card", "aria-live": "polite" });
  const matches = el("ul", { class: "list matches", id: "matches" });
  const made = el("div", {});
  const again = button("Compose it again", replay, "button", { id: "replay" });
  const answer = el("p", { class: "hint", role: "status" });
  element.append(el("h2", {}, "Trust"), el("h3", {}, "Is it a copy?"), figures, matches,
    el("h3", { class: "over" }, "How it was made"), made, el("div", { class: "row" }, again), line.element, answer);

  let asked = "";
  let found = null; // of the piece and revision in `asked`

  /** Asks once for each revision that is looked at. The roll's marks go with the panel. */
  async function look() {
    const { piece, panel } = store.state;
    if (panel !== "trust") return store.set({ originality: null, match: null });
    const of = piece ? `${piece.id} ${piece.revision}` : "";
    if (asked !== of) found = null;
    store.set({ originality: found });
    if (asked === of && (found || !piece)) return show();
    asked = of;
    show();
    if (!piece) return;
    try {
      const answer = await get(`/api/pieces/${piece.id}/originality`);
      if (asked !== of) return;
      found = { revision: piece.revision, ...answer };
      if (store.state.panel === "trust") store.set({ originality: found });
    } catch (error) {
      ignore(error);
      if (asked === of) figures.replaceChildren(el("p", {}, error.message));
    }
  }

  function show() {
    const { piece, originality } = store.state;
    answer.textContent = "";
    if (!piece) {
      figures.replaceChildren(el("p", {}, "Open or compose a piece first."));
      matches.replaceChildren();
    } else if (!originality) {
      figures.replaceChildren(el("p", {}, "Looking in the training music …"));
      matches.replaceChildren();
    } else showFigures(originality);
    showMade(piece);
  }

  /** How much of it is usual: real pieces that the model never learned, beside the training music. */
  function usual({ held_out: baseline }) {
    if (!baseline) return "Tunes of one kind share phrases; a match over many bars is a quotation.";
    const [lengths, shares] = [baseline.longest, baseline.share];
    const middle = ({ lower_quartile: low, upper_quartile: high }, words) => `${words(low)} to ${words(high)}`;
    return `Usual for pieces of this kind that were not learned: ${middle(shares, (one) => `${Math.round(one * 100)}%`)}, longest match ${middle(lengths, Math.round)} notes.`;
  }

  function showFigures(found) {
    const { longest, share, matches: passages } = found;
    figures.replaceChildren(
      el("dl", { class: "figures" },
        el("dt", {}, "Stands in the training music"), el("dd", { id: "share" }, percent(share ?? 0)),
        el("dt", {}, "Longest match"), el("dd", { id: "longest" }, longest ? counted(longest, "note") : "none")),
      el("p", { class: "hint" }, passages.length ? usual(found) : "Not even 8 notes in a row stand there, in any key."));
    matches.replaceChildren(...passages.map((match, number) => item(match, number)));
  }

  function item({ bars, file, length, their_bars: theirs, unit }, number) {
    const isOn = store.state.match === number;
    const isHeard = isOn && store.state.preview;
    return el("li", { class: isOn ? "on" : "" },
      el("button", { type: "button", class: "name", "aria-pressed": isOn, onclick: () => mark(number), title: "Show its bars in the roll" },
        el("b", {}, barsInWords(bars), ` · ${counted(length, "note")}`),
        el("span", { class: "hint" }, unit === "second" ? `${file}, from second ${theirs[0]}` : `${file}, ${barsInWords(theirs).toLowerCase()}`)),
      el("div", { class: "row" },
        button("Hear it here", () => hear(number), "button small"),
        button(isHeard ? "Back" : "Hear it there", () => (isHeard ? back() : hearTheirs(number)), "button small", { "aria-pressed": Boolean(isHeard) })));
  }

  function mark(number) {
    back();
    const { match, originality } = store.state;
    store.set({ match: match === number ? null : number });
    if (store.state.match !== null) store.set({ cursor: ticksOf(store.state.piece, originality.matches[number].bars)[0] });
  }

  function hear(number) {
    back();
    store.set({ match: number });
    play(ticksOf(store.state.piece, store.state.originality.matches[number].bars)[0]);
  }

  async function hearTheirs(number) {
    stop();
    store.set({ match: number });
    try {
      const preview = await get(`/api/pieces/${store.state.piece.id}/source`, { match: number });
      store.set({ preview });
      play(0);
    } catch (error) {
      ignore(error);
    }
  }

  function back() {
    if (!store.state.preview) return;
    stop();
    store.set({ preview: null });
  }

  function showMade(piece) {
    const { provenance } = piece ?? {};
    again.disabled = !provenance || line.running();
    if (!provenance) {
      made.replaceChildren(el("p", { class: "hint" }, piece ? "This piece says nothing of how it was made: it was brought in, played in or edited." : "–"));
      return;
    }
    const { settings = {}, seed, model, piece: number, of, redone, versions } = provenance;
    const rows = [
      ["How", redone ? "redone" : "composed"],
      ["Model", inWords(model)],
      ["Seed", String(seed)],
      of > 1 && ["Which", `${number} of ${of}`],
      ["Settings", inWords(chosen(settings, redone)) || "none: all was left to the model"],
      ["Versions", inWords(versions)],
    ].filter((row) => row && row[1]);
    made.replaceChildren(el("dl", { class: "figures made" }, rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])));
  }

  /** The settings that aren't as they are without being asked for. */
  function chosen(settings, redone) {
    const defaults = new Map(declared(redone ? "redo_settings" : "settings").map((one) => [one.name, one.default]));
    return Object.fromEntries(Object.entries(settings).filter(([name, value]) => value !== false && value !== defaults.get(name)));
  }

  /** Values of a provenance; long ones, checksums, are cut. */
  const inWords = (value) => (value === null || value === undefined ? "" : typeof value !== "object" ? String(value).replace(/\b([0-9a-f]{12})[0-9a-f]{20,}\b/g, "$1…")
    : Array.isArray(value) ? value.map(inWords).join(" ")
    : Object.entries(value).filter(([, one]) => one !== null).map(([name, one]) => `${name.replaceAll("_", " ")} ${inWords(one)}`).join(", "));

  async function replay() {
    const { piece } = store.state;
    answer.textContent = "";
    const result = await line.run(() => post(`/api/pieces/${piece.id}/replay`), "Composing it again …");
    if (!result) return;
    answer.textContent = result.words ?? (result.same === false ? "It came out otherwise: the piece was edited since, or its model has changed." : "The same again, byte for byte.");
    say(answer.textContent);
  }

  changed = () => showMade(store.state.piece);
  store.on(["panel", "piece"], () => {
    if (store.state.panel !== "trust") back();
    look().catch(ignore);
  });
  store.on(["originality", "match", "preview"], () => store.state.panel === "trust" && show());
  look().catch(ignore);
}
