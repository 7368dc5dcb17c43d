// What the panels share: elements, words, and following a job of the server.

import { events, ignore, post } from "../api.js";

/** An element with properties, attributes (those with a dash, and `role`, `for`, `list`), listeners (on...) and
 *  children; what is null or false among the children is left out. */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name.includes("-") || ["role", "for", "list"].includes(name)) element.setAttribute(name, value);
    else if (name === "class") element.className = value;
    else element[name] = value;
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** A button that presses: "button", "button primary", ... */
export function button(words, onclick, look = "button", properties = {}) {
  return el("button", { type: "button", class: look, onclick, ...properties }, words);
}

const SVG = "http://www.w3.org/2000/svg";

/** An icon of the page's sprite. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** An SVG element with attributes. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let fields = 0;

/** A control under its label, with a hint that a screen reader speaks with it, and another one beside it. */
export function field(words, control, hint = "", beside = null) {
  const id = control.id || `field-${++fields}`;
  control.id = id;
  const about = hint && el("span", { id: `${id}-hint`, class: "unseen" }, hint);
  if (about) control.setAttribute("aria-describedby", about.id);
  return el("div", { class: "field", title: hint }, el("label", { for: id }, words), beside ? el("div", { class: "line" }, control, beside) : control, about || null);
}

/** A list to choose from: entries are values, or [value, words]. */
export function choice(entries, value, onchange, properties = {}) {
  const options = entries.map((entry) => {
    const [of, words] = Array.isArray(entry) ? entry : [entry, entry];
    return el("option", { value: of, selected: String(of) === String(value ?? "") }, words);
  });
  return el("select", { onchange: (event) => onchange(event.target.value), ...properties }, options);
}

/** "1 note", "12 notes". */
export const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;

/** "1:05" of seconds, "2 h 5 min" from an hour on. */
export function clock(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** A progress bar of one job, with a button that ends it; hidden while there is none.
 *  run(start, words, onprogress) posts with `start()` and follows the job until it is done; resolves to what `done`
 *  says, or null where it was cancelled or failed, which was said. changed() is called when one begins and when it ends. */
export function jobLine(changed) {
  const bar = el("progress", { max: 1 });
  const words = el("span", { class: "hint stretch" });
  let current = null;
  const stop = button("Stop", () => cancel(), "button small");
  const element = el("div", { class: "job", hidden: true }, el("div", { class: "row" }, words, stop), bar);

  function cancel() {
    if (!current) return false;
    const { id, source, settle } = current;
    current = null;
    source?.close();
    if (id) post(`/api/jobs/${id}/cancel`).catch(ignore);
    element.hidden = true;
    settle(null);
    changed();
    return true;
  }

  async function run(start, saying, onprogress) {
    if (current) return null;
    element.hidden = false;
    words.textContent = saying;
    bar.removeAttribute("value");
    bar.setAttribute("aria-label", saying);
    let settle;
    const ended = new Promise((resolve) => (settle = resolve));
    const own = (current = { settle });
    changed();
    const finish = (answer) => {
      if (current !== own) return;
      current = null;
      element.hidden = true;
      settle(answer);
      changed();
    };
    try {
      const { job } = await start();
      if (current !== own) {
        post(`/api/jobs/${job}/cancel`).catch(ignore);
        return ended;
      }
      own.id = job;
      own.source = events(`/api/jobs/${job}/events`, {
        progress: (data) => {
          if (typeof data.share === "number") bar.value = data.share;
          onprogress?.(data);
        },
        done: (data) => finish({ job, ...data }),
        failed: () => finish(null),
      });
    } catch (error) {
      finish(null);
      ignore(error);
    }
    return ended;
  }

  return { element, run, cancel, running: () => current !== null };
}
