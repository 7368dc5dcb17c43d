// Where played notes come from: MIDI keyboards by Web MIDI, and the computer's keys as a piano.

// The rows of letters as on a piano, by where a key lies, whatever the keyboard's language.
const ROW = ["KeyA", "KeyW", "KeyS", "KeyE", "KeyD", "KeyF", "KeyT", "KeyG", "KeyY", "KeyH", "KeyU", "KeyJ", "KeyK", "KeyO", "KeyL", "KeyP", "Semicolon", "Quote"];
const LOWEST = 48; // pitch of the first key, C3
const STRIKE = 80; // velocity of a computer's key

/** Listens to all MIDI keyboards: handlers on(pitch, velocity, time in ms) and off(pitch, time in ms), changed(names of the
 *  inputs). Resolves to a sentence where there are none to be had, else to "". */
export async function listenToMidi({ on, off, changed }) {
  if (!navigator.requestMIDIAccess) return "This browser has no Web MIDI: play with the computer’s keys, or open the studio in Chromium, Edge or Firefox.";
  let access;
  try {
    access = await navigator.requestMIDIAccess();
  } catch {
    return "The browser was not allowed to listen to MIDI keyboards: allow it in the site’s permissions.";
  }
  const hear = ({ data, timeStamp }) => {
    const [kind, pitch, velocity] = [data[0] & 0xf0, data[1], data[2]];
    if (kind === 0x90 && velocity > 0) on(pitch, velocity, timeStamp);
    else if (kind === 0x80 || kind === 0x90) off(pitch, timeStamp);
  };
  const join = () => {
    for (const input of access.inputs.values()) input.onmidimessage = hear;
    changed([...access.inputs.values()].filter(({ state }) => state === "connected").map(({ name }) => name));
  };
  access.onstatechange = join;
  join();
  return "";
}

/** The computer's keys as a piano while `isOn()`: two rows of letters, Z and X change the octave. They come before all
 *  keys of the page. */
export function listenToKeys({ on, off, isOn, octaveChanged }) {
  let octave = 0;
  const held = new Map();
  const typed = (target) => target.closest?.("input:not([type=range], [type=checkbox], [type=radio]), select, textarea, dialog[open]");
  window.addEventListener("keydown", (event) => {
    if (!isOn() || event.ctrlKey || event.metaKey || event.altKey || typed(event.target)) return;
    const step = ROW.indexOf(event.code);
    const turn = { KeyZ: -1, KeyX: 1 }[event.code];
    if (step < 0 && !turn) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.repeat) return;
    if (turn) {
      octave = Math.max(-3, Math.min(4, octave + turn));
      return octaveChanged(LOWEST + 12 * octave);
    }
    const pitch = LOWEST + 12 * octave + step;
    if (pitch < 0 || pitch > 127) return;
    held.set(event.code, pitch);
    on(pitch, STRIKE, event.timeStamp);
  }, true);
  const release = (code, time) => {
    if (!held.has(code)) return;
    off(held.get(code), time);
    held.delete(code);
  };
  window.addEventListener("keyup", (event) => release(event.code, event.timeStamp), true);
  window.addEventListener("blur", () => [...held.keys()].forEach((code) => release(code, performance.now())));
}

/** Notes as they are played, with times in milliseconds: on(), off(), end() -> [[onset_s, duration_s, pitch, velocity]]
 *  from `start` on, what was held then ending with it. */
export function recorder(start) {
  const sounding = new Map();
  const notes = [];
  const off = (pitch, time) => {
    const note = sounding.get(pitch);
    if (!note) return;
    sounding.delete(pitch);
    note[1] = Math.max(0.02, (time - start) / 1000 - note[0]);
  };
  return {
    on(pitch, velocity, time) {
      off(pitch, time);
      // Who comes in a little early means the first beat.
      const note = [Math.max(0, (time - start) / 1000), 0, pitch, velocity];
      if (time < start - 250) return;
      sounding.set(pitch, note);
      notes.push(note);
    },
    off,
    end(time) {
      for (const pitch of [...sounding.keys()]) off(pitch, time);
      return notes;
    },
  };
}
