// Plays what is seen: the open piece with a chosen candidate in place, a piece that is being composed, or a preview.
// The page's own instruments are webaudio-tinysynth's; with a SoundFont the server renders the piece.

import { bytes, ignore } from "./api.js";
import { complain, isOwn, say, shown, soundingNotes, store } from "./store.js";

const AHEAD_S = 0.18; // notes are handed to the audio clock this long before they sound
const AHEAD_HIDDEN_S = 1.6; // a page in the background is woken once a second
const EVERY_MS = 40;
const LEAD_S = 0.05; // from the press of a key to the first note
const STANDING_MS = 5000; // after which an audio clock that has not begun to run is said
const FIRST_CHANNEL = 16; // above those of the synthesiser: one for each part, as many as there are
const VOICES = 128;
const LOUDEST = 1.9; // of a channel; the synthesiser's own compressor stands behind
export const USUAL = 0.8; // volume of a part that nobody has set

let context = null;
let synth = null;
let master = null;
let meter = null;
let masterVolume = USUAL;

/** Seconds <-> ticks of a piece at its own tempo. */
export function timeline(piece) {
  const marks = [];
  for (const [tick, qpm] of piece.tempos.length ? piece.tempos : [[0, 120]]) {
    const perTick = 60 / (qpm * piece.ticks_per_beat);
    const last = marks.at(-1);
    if (!last) marks.push({ tick: 0, second: 0, perTick });
    else marks.push({ tick, second: last.second + (tick - last.tick) * last.perTick, perTick });
  }
  const at = (key, value) => {
    let found = marks[0];
    for (const mark of marks) if (mark[key] <= value) found = mark;
    return found;
  };
  return {
    secondOf: (tick) => ((mark) => mark.second + (tick - mark.tick) * mark.perTick)(at("tick", tick)),
    tickOf: (second) => ((mark) => mark.tick + (second - mark.second) / mark.perTick)(at("second", second)),
  };
}

/** The audio clock and the synthesiser; first called by a press, as browsers demand. */
function engine() {
  if (!context) {
    synth = new window.WebAudioTinySynth({ voices: VOICES });
    context = synth.getAudioContext();
    master = context.createGain();
    meter = context.createAnalyser();
    synth.comp.disconnect();
    synth.comp.connect(master);
    master.connect(meter);
    meter.connect(context.destination);
    setMasterVolume(masterVolume);
  }
  if (context.state === "suspended") context.resume();
  return synth;
}

/** How loud it is now: the greatest sample of the last moment, 0..1. */
export function level() {
  if (!meter) return 0;
  const samples = new Float32Array(meter.fftSize);
  meter.getFloatTimeDomainData(samples);
  return samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
}

export function setMasterVolume(volume) {
  masterVolume = volume;
  if (master) master.gain.setTargetAtTime((volume / USUAL) ** 2, context.currentTime, 0.01);
  if (audio) audio.volume = Math.min(1, volume);
}

/** Whether a part is heard: not muted, and soloed if any is. */
export function isHeard(part) {
  const { mutes, solos, preview } = store.state;
  return Boolean(preview) || (solos.size ? solos.has(part) : !mutes.has(part));
}

function loudness(part) {
  if (!isHeard(part)) return 0;
  const volume = store.state.preview ? USUAL : (store.state.volumes.get(part) ?? USUAL);
  return LOUDEST * volume ** 2;
}

function channel(part) {
  const number = FIRST_CHANNEL + part;
  if (!synth.chvol[number]) {
    synth.chvol[number] = context.createGain();
    synth.chvol[number].gain.value = loudness(part);
    synth.chvol[number].connect(synth.out);
    synth.chmod[number] = context.createGain();
    synth.chmod[number].gain.value = 0;
    for (const [name, value] of Object.entries({ bend: 0, brange: 0x100, tuningC: 0, tuningF: 0, sustain: 0, ex: 1, vol: 1 })) synth[name][number] = value;
  }
  const { program = 0, drums = false } = shown()?.parts.find((one) => one.index === part) ?? {};
  synth.pg[number] = program;
  synth.rhythm[number] = drums ? 1 : 0;
  return number;
}

function setLoudness() {
  if (!context) return;
  const last = synth.chvol.length - FIRST_CHANNEL;
  for (let part = 0; part < last; part++) synth.chvol[FIRST_CHANNEL + part]?.gain.setTargetAtTime(loudness(part), context.currentTime, 0.008);
}

/** Cuts what sounds and what was handed to the clock already: the channels fade, and new ones take their place. */
function silence() {
  if (!context) return;
  const old = synth.chvol.splice(FIRST_CHANNEL).filter(Boolean);
  for (const gain of old) {
    gain.gain.cancelScheduledValues(0);
    gain.gain.setTargetAtTime(0, context.currentTime, 0.008);
  }
  const rest = synth.notetab.filter((note) => note.ch >= FIRST_CHANNEL);
  synth.notetab = synth.notetab.filter((note) => note.ch < FIRST_CHANNEL);
  setTimeout(() => {
    for (const note of rest) synth._pruneNote(note);
    for (const gain of old) gain.disconnect();
  }, 80);
}

function sound([part, , , pitch, velocity], at, off) {
  const number = channel(part);
  synth.noteOn(number, pitch, Math.max(1, velocity), at);
  synth.noteOff(number, pitch, Math.max(off, at + 0.02));
}

/** Lets a single note be heard now. */
export function playNote(part, pitch, velocity = 80, seconds = 0.25) {
  engine();
  const at = context.currentTime + 0.005;
  sound([part, 0, 0, pitch, velocity], at, at + seconds);
}

const LIVE_CHANNEL = 15; // one of the synthesiser's own, for what is played in
const CLICK_CHANNEL = 14;

/** The audio clock, running. */
export function audioClock() {
  engine();
  return context;
}

/** A note that sounds until the function that comes back is called. A program of null is the drum kit. */
export function playLive(program, pitch, velocity = 80) {
  engine();
  const number = program === null ? 9 : LIVE_CHANNEL;
  synth.setProgram(number, program ?? 0);
  synth.noteOn(number, pitch, Math.max(1, velocity), 0);
  return () => synth.noteOff(number, pitch, 0);
}

/** A metronome's click at a time of the audio clock. */
export function click(at, strong = false) {
  engine();
  synth.rhythm[CLICK_CHANNEL] = 1;
  synth.noteOn(CLICK_CHANNEL, strong ? 76 : 77, strong ? 110 : 80, at);
}

// While playing. A pass is a stretch that is played once, [from, to) in ticks, and begins at `at` of the audio clock;
// a loop is pass after pass.
let line = null; // timeline of what is shown
let loaded = {};
let notes = []; // sorted by onset
let next = 0; // the first that was not handed to the clock
let passes = [];
let speed = 1;
let timer = 0;
let standing = 0;
let frame = 0;

const lengthOf = (piece) => Math.max(piece.length, piece.notes.reduce((end, note) => Math.max(end, note[1] + note[2]), 0));
const timeIn = (pass, tick) => pass.at + (line.secondOf(tick) - line.secondOf(pass.from)) / speed;
const loopOf = () => (store.state.preview || store.state.growing ? null : store.state.loop);

function firstFrom(tick) {
  let [low, high] = [0, notes.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (notes[middle][1] < tick) low = middle + 1;
    else high = middle;
  }
  return low;
}

function load() {
  notes = soundingNotes()
    .map(({ note }) => note)
    .sort((a, b) => a[1] - b[1]);
  line = timeline(shown());
  const { piece, candidate, candidates } = store.state;
  loaded = { piece, candidate, candidates };
}

/** Starts a pass, with what already sounds where it starts. */
function begin(from, at) {
  const loop = loopOf();
  const pass = { from, to: loop && from < loop[1] ? loop[1] : lengthOf(shown()), at };
  passes.push(pass);
  next = firstFrom(from);
  const piece = shown();
  for (let i = 0; i < next; i++) {
    const end = notes[i][1] + notes[i][2];
    if (end <= from || piece.parts.find((part) => part.index === notes[i][0])?.drums) continue;
    sound(notes[i], at, timeIn(pass, Math.min(end, pass.to)));
  }
}

function pump() {
  const horizon = context.currentTime + (document.hidden ? AHEAD_HIDDEN_S : AHEAD_S);
  for (let rounds = 0; rounds < 64; rounds++) {
    const pass = passes.at(-1);
    while (next < notes.length && notes[next][1] < pass.to) {
      const at = timeIn(pass, notes[next][1]);
      if (at > horizon) return;
      sound(notes[next], Math.max(at, context.currentTime), timeIn(pass, Math.min(notes[next][1] + notes[next][2], pass.to)));
      next++;
    }
    const end = timeIn(pass, pass.to);
    if (end > horizon) return;
    const loop = loopOf();
    if (loop) begin(loop[0], end);
    else {
      if (context.currentTime >= end && !store.state.growing) stop();
      return;
    }
  }
}

const tickIn = (pass, time) => line.tickOf(line.secondOf(pass.from) + Math.max(0, time - pass.at) * speed);

/** The tick that is heard now. */
function now() {
  if (bySoundFont()) return audio.paused ? store.state.position : line.tickOf(audio.currentTime);
  const time = context.currentTime - (context.outputLatency || 0);
  while (passes.length > 1 && passes[1].at <= time) passes.shift();
  return Math.min(tickIn(passes[0], time), passes[0].to);
}

function draw() {
  if (!store.state.playing) return;
  store.set({ position: now() });
  const loop = loopOf();
  if (bySoundFont() && loop && store.state.position >= loop[1]) audio.currentTime = line.secondOf(loop[0]);
  frame = requestAnimationFrame(draw);
}

/** Plays from a tick; from the cursor without one, or from the loop's start where the cursor is outside the loop. */
export function play(from = null) {
  const piece = shown();
  if (!piece || store.state.lost) return;
  halt();
  engine();
  load();
  const loop = loopOf();
  let start = from ?? (store.state.preview ? 0 : store.state.cursor);
  if (loop && (start < loop[0] || start >= loop[1])) start = loop[0];
  if (start >= lengthOf(piece)) start = 0;
  speed = store.state.preview ? 1 : store.state.tempo;
  store.set({ playing: true, position: start });
  if (bySoundFont()) playRendered(start);
  else {
    passes = [];
    begin(start, context.currentTime + LEAD_S);
    pump();
    timer = setInterval(pump, EVERY_MS);
    // Firefox's clock never runs without a sound device, and the line stands still with it.
    standing = setTimeout(() => context.state !== "running" && complain("This browser plays no sound: is there a loudspeaker? Then press Play once more."), STANDING_MS);
  }
  frame = requestAnimationFrame(draw);
}

function halt() {
  clearInterval(timer);
  clearTimeout(standing);
  cancelAnimationFrame(frame);
  audio?.pause();
  silence();
}

/** Stops; the line goes back to the cursor, so that the next press plays the same again. */
export function stop() {
  if (!store.state.playing) return;
  halt();
  store.set({ playing: false, position: store.state.cursor });
}

export function toggle() {
  if (store.state.playing) stop();
  else play();
}

/** Moves the cursor, and while playing the line. */
export function seek(tick) {
  if (!isOwn()) return;
  const cursor = Math.max(0, Math.min(tick, shown().length));
  store.set({ cursor });
  if (store.state.playing) play(cursor);
  else store.set({ position: cursor });
}

// With a SoundFont: the server's WAV in an audio element, which keeps the pitch at any tempo.
let audio = null;
let rendered = { wanted: "", address: "" }; // what was asked for, and where its sound lies in the browser

function bySoundFont() {
  const { sound: chosen, preview, growing, candidate } = store.state;
  return chosen === "soundfont" && !preview && !growing && !candidate;
}

function element() {
  if (!audio) {
    audio = new Audio();
    audio.volume = Math.min(1, masterVolume);
    audio.addEventListener("ended", () => {
      const loop = loopOf();
      if (loop) playRendered(loop[0]);
      else stop();
    });
  }
  return audio;
}

async function playRendered(start) {
  const { piece, mutes, solos } = store.state;
  const heard = piece.parts.filter((part) => isHeard(part.index)).map((part) => part.index + 1);
  const parts = mutes.size || solos.size ? heard.join(",") : null;
  const wanted = `${piece.id} ${piece.revision} ${parts}`;
  element();
  if (rendered.wanted !== wanted) {
    URL.revokeObjectURL(rendered.address);
    rendered = { wanted, address: "" };
    if (parts === "") return; // nothing is heard
    say("The sound is rendered …");
    try {
      const sound_ = await bytes(`/api/pieces/${piece.id}/sound`, { parts, revision: piece.revision });
      if (rendered.wanted !== wanted) return;
      rendered.address = URL.createObjectURL(new Blob([sound_], { type: "audio/wav" }));
    } catch (error) {
      rendered = { wanted: "", address: "" };
      ignore(error);
      return stop();
    }
    audio.src = rendered.address;
  }
  if (!store.state.playing || !bySoundFont() || !rendered.address) return;
  audio.playbackRate = speed;
  audio.currentTime = line.secondOf(start);
  audio.play().catch(() => {});
}

/** What is played has changed: another candidate cuts in at once, an edit is heard from the next notes on. */
function changed(cut) {
  if (!store.state.playing) return;
  if (!shown()) return stop();
  if (cut || bySoundFont()) return play(Math.min(store.state.position, lengthOf(shown())));
  const last = passes.at(-1);
  const reached = next > 0 ? notes[next - 1][1] : -1;
  load();
  next = Math.max(firstFrom(last.from), firstFrom(reached + 1));
  const loop = loopOf();
  const to = loop && last.from < loop[1] ? loop[1] : lengthOf(shown());
  // Composing fell behind: the line waited at the end, and goes on from there.
  if (to > last.to && timeIn(last, last.to) < context.currentTime) passes = [{ from: last.to, to, at: context.currentTime + LEAD_S }];
  else last.to = to;
}

/** The line stays where it is while tempo or loop change. */
function anchor() {
  if (!store.state.playing || bySoundFont()) return;
  const last = passes.at(-1);
  const time = context.currentTime;
  const from = time < last.at ? last.from : tickIn(last, time);
  const loop = loopOf();
  if (loop && (from >= loop[1] || from < loop[0])) return play(loop[0]);
  const pass = { from, to: loop ? loop[1] : lengthOf(shown()), at: Math.max(time, last.at) };
  passes = time < last.at ? [...passes.slice(0, -1), pass] : [pass];
}

export function mountPlayer() {
  let grew = false; // whether what is heard is being composed
  store.on("piece", (piece, before) => {
    if (piece?.id === before?.id || grew) changed(false);
    else stop();
  });
  store.on("growing", (growing) => {
    grew = Boolean(growing) && store.state.playing;
    if (growing) changed(false);
  });
  store.on("playing", (playing) => (grew = playing && Boolean(store.state.growing)));
  store.on("preview", (preview) => store.state.playing && (preview ? play(0) : stop()));
  store.on(["candidate", "candidates"], () => {
    const { piece, candidate, candidates } = store.state;
    if (piece !== loaded.piece || candidate !== loaded.candidate || (candidate && candidates !== loaded.candidates)) changed(true);
  });
  store.on("tempo", (tempo) => {
    anchor();
    speed = tempo;
    if (audio) audio.playbackRate = tempo;
  });
  store.on("loop", anchor);
  store.on("volumes", setLoudness);
  store.on(["mutes", "solos"], () => {
    setLoudness();
    if (bySoundFont()) changed(true);
  });
  store.on("sound", () => store.state.playing && play(store.state.position));
}
