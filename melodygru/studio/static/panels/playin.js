// Play in: a melody from a MIDI keyboard, the computer's keys or the piano that is drawn; then the model goes on with it.

import { ignore, open, post, refresh } from "../api.js";
import { isBlack, pitchName } from "../geometry.js";
import { audioClock, click, playLive, stop } from "../player.js";
import { say, select, store } from "../store.js";
import { button, choice, counted, el, field } from "./dom.js";
import { listenToKeys, listenToMidi, recorder } from "./midi_input.js";
import { choose, redo } from "./redo.js";
import { onModel } from "./settings.js";

const COUNT_IN = 4; // beats
const [FIRST_KEY, KEYS] = [48, 25]; // of the piano that is drawn: C3 to C5

export function mount(element) {
  const held = { qpm: 100, program: 0, metronome: true, keys: false };
  let recording = null; // {start, recorder, beats: timer}
  const releases = new Map(); // of what sounds now, by pitch

  const status = el("p", { class: "hint", role: "status", id: "playin-status" }, "Press “Record”, or play along without.");
  const midi = el("p", { class: "hint" });
  const count = el("b", { class: "count", "aria-hidden": "true" });
  const record = button("Record", () => (recording ? finish() : begin()), "button primary wide record", { id: "record" });
  const beat = el("input", { type: "checkbox", id: "metronome", checked: held.metronome, onchange: () => (held.metronome = beat.checked) });
  const asPiano = el("input", { type: "checkbox", id: "keys-as-piano", onchange: () => {
    held.keys = asPiano.checked;
    status.textContent = held.keys ? "A to ’ are white keys, W E T Y U O P the black ones; Z and X change the octave." : "The computer’s keys do what they did before.";
  } });
  const tempo = el("input", { type: "number", min: 30, max: 300, value: held.qpm, onchange: () => (held.qpm = Math.max(30, Math.min(300, Number(tempo.value) || 100))) });
  const instrument = el("div", {});
  const piano = el("div", { class: "piano", role: "group", "aria-label": "Piano" });
  const after = el("div", { class: "after", hidden: true },
    el("h3", { class: "over" }, "And now"),
    el("div", { class: "row" },
      button("Continue it", () => goOn("go"), "button", { id: "playin-continue" }),
      button("Accompany it", () => goOn("add"), "button", { id: "playin-accompany" })));
  element.append(el("h2", {}, "Play in"), el("div", { class: "row" }, record, count), status,
    el("div", { class: "pair" }, field("Beats a minute", tempo), instrument),
    el("label", { class: "tick" }, beat, "Metronome"),
    el("label", { class: "tick" }, asPiano, "The computer’s keys are a piano"),
    piano, midi, after);

  for (let step = 0; step < KEYS; step++) {
    const pitch = FIRST_KEY + step;
    const key = el("button", { type: "button", class: isBlack(pitch) ? "black" : "white", tabIndex: -1, "data-pitch": pitch, "aria-label": pitchName(pitch) });
    const up = (event) => off(pitch, event.timeStamp);
    key.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      key.setPointerCapture?.(event.pointerId);
      on(pitch, 90, event.timeStamp);
    });
    key.addEventListener("pointerup", up);
    key.addEventListener("pointercancel", up);
    piano.append(key);
  }

  const mark = (pitch, down) => piano.querySelector(`[data-pitch="${pitch}"]`)?.classList.toggle("down", down);

  function on(pitch, velocity, time) {
    releases.get(pitch)?.();
    releases.set(pitch, playLive(held.program, pitch, velocity));
    recording?.recorder.on(pitch, velocity, time);
    mark(pitch, true);
  }

  function off(pitch, time) {
    releases.get(pitch)?.();
    releases.delete(pitch);
    recording?.recorder.off(pitch, time);
    mark(pitch, false);
  }

  /** Counts a bar in, then records; the metronome goes on if it is wished for. */
  function begin() {
    stop();
    const clock = audioClock();
    const beatS = 60 / held.qpm;
    const first = clock.currentTime + 0.15;
    const start = performance.now() + (first - clock.currentTime + COUNT_IN * beatS) * 1000;
    let next = 0;
    const tick = () => {
      while (first + next * beatS < clock.currentTime + 0.15) {
        if (next < COUNT_IN || held.metronome) click(first + next * beatS, next % 4 === 0);
        next++;
      }
      const done = Math.floor((clock.currentTime - first) / beatS);
      count.textContent = done < 0 ? "" : done < COUNT_IN ? `${done + 1}` : `${Math.floor((done - COUNT_IN) / 4) + 1}.${((done - COUNT_IN) % 4) + 1}`;
      if (done >= COUNT_IN && recording && !recording.said) {
        recording.said = true;
        status.textContent = "Recording: play. “Stop” ends it.";
      }
    };
    recording = { start, recorder: recorder(start), timer: setInterval(tick, 25), said: false };
    record.textContent = "Stop";
    record.classList.add("on");
    after.hidden = true;
    status.textContent = "A bar is counted in.";
  }

  async function finish() {
    const { timer, recorder: played } = recording;
    clearInterval(timer);
    const notes = played.end(performance.now());
    recording = null;
    record.textContent = "Record";
    record.classList.remove("on");
    count.textContent = "";
    if (!notes.length) {
      status.textContent = "Nothing was played: try the piano below, a MIDI keyboard, or the computer’s keys.";
      return;
    }
    status.textContent = "Writing it down …";
    try {
      const made = await post("/api/recordings", { qpm: held.qpm, program: held.program, notes, name: `Played in ${new Date().toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })}` });
      await refresh();
      await open(made.id);
      after.hidden = false;
      status.textContent = `${counted(notes.length, "note")} played in. Space plays them.`;
      say(status.textContent);
    } catch (error) {
      ignore(error);
      status.textContent = "It was not kept.";
    }
  }

  function goOn(kind) {
    select();
    choose(kind, kind === "add" ? { add: "piano, bass" } : { bars: 4 });
    if (kind === "go") redo();
    else document.querySelector("#redo")?.focus();
  }

  function build() {
    const programs = store.state.status?.model?.programs ?? [];
    const entries = programs.length ? programs.map(({ number, name }) => [number, name]) : [[0, "Piano"]];
    instrument.replaceChildren(field("Instrument", choice(entries, held.program, (value) => (held.program = Number(value)), { id: "playin-program" })));
  }

  let listening = false;
  async function listen() {
    if (listening || store.state.panel !== "playin") return;
    listening = true;
    const sentence = await listenToMidi({ on, off, changed: (names) => (midi.textContent = names.length ? `Listening to ${names.join(", ")}.` : "No MIDI keyboard is there yet: it is heard as soon as it is plugged in.") });
    if (sentence) midi.textContent = sentence;
  }

  listenToKeys({ on, off, isOn: () => held.keys && store.state.panel === "playin", octaveChanged: (pitch) => (status.textContent = `The lowest key is ${pitchName(pitch)}.`) });
  store.on("panel", () => listen().catch(ignore));
  store.on("piece", (piece, before) => piece?.id !== before?.id && piece?.origin !== "recorded" && (after.hidden = true));
  build();
  onModel(build);
}
