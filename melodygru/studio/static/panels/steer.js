// Steer: every setting of composing as it is declared, section by section.

import { compose } from "./compose.js";
import { button, el, icon } from "./dom.js";
import { declared, fill, onModel, steering } from "./settings.js";

const SECTIONS = {
  style: "Style",
  length: "Length and tempo",
  constraint: "Notes, parts and chords",
  choice: "How freely",
  guard: "Guards",
  piece: "Going on from a piece",
};

export function mount(element) {
  const sections = el("div", {});
  const clear = button("Leave all to the model", () => steering.clear(), "button small");
  element.append(
    el("h2", {}, "Steer"),
    el("p", { class: "hint" }, "What is left empty the model decides. A new piece takes all of it; a redo takes what concerns its notes."),
    el("div", { class: "row" }, button([icon("compose"), "Compose"], compose, "button primary"), clear),
    sections,
  );

  function build() {
    for (const controls of sections.querySelectorAll(".controls")) controls.ends?.forEach((end) => end());
    const settings = declared();
    const names = [...new Set([...Object.keys(SECTIONS), ...settings.map(({ section }) => section)])];
    sections.replaceChildren(...names.map((name) => {
      const own = settings.filter(({ section }) => section === name);
      if (!own.length) return null;
      const controls = el("div", { class: "controls" });
      fill(controls, own, { seen: true });
      return el("details", { class: "section", open: true }, el("summary", {}, SECTIONS[name] ?? name), controls);
    }).filter(Boolean));
  }

  const update = () => (clear.disabled = !Object.keys(steering.values).length);
  steering.on(update);
  onModel(build);
  update();
}
