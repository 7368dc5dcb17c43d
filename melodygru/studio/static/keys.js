// The keyboard: a list of keys, what each does in words, and the function. `?` shows the list.

/** @type {{keys: string[], words: string, run: (event: KeyboardEvent) => (boolean|void), section: string}[]} */
export const bindings = [];

/** Binds keys such as "r", "Space", "Control+Shift+z" (Control is Command on a Mac) to a function. A function that
 *  returns false leaves the key to the browser and to the bindings before it: the latest comes first. */
export function bind(keys, words, run, section = "") {
  bindings.push({ keys: [keys].flat(), words, run, section });
}

/** The name of what was pressed, as `bind` takes it. */
function nameOf(event) {
  const key = event.key === " " ? "Space" : event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const letter = key.length > 1 || /[a-z0-9]/.test(key);
  const held = [event.ctrlKey || event.metaKey ? "Control" : "", event.altKey ? "Alt" : "", event.shiftKey && letter ? "Shift" : ""];
  return [...held.filter(Boolean), key].join("+");
}

/** Whether a key pressed here belongs to the element: text that is typed, a list that is chosen from, a slider. */
function isTaken(target, name) {
  if (target.closest?.("textarea, [contenteditable], dialog[open]")) return true;
  const input = target.closest?.("input, select");
  if (input) {
    const typed = !["button", "checkbox", "radio", "range"].includes(input.type);
    return typed || name.startsWith("Arrow") || ["Home", "End", "PageUp", "PageDown", "Space"].includes(name);
  }
  // Enter and Space press the button that has the focus; arrows move between tabs.
  if (target.closest?.("button, a, summary, [role=tab], [role=menuitem]")) return ["Enter", "Space"].includes(name) || (name.startsWith("Arrow") && target.closest("[role=tab]"));
  return false;
}

/** What was pressed with the mouse gives the focus back, so that Space plays and arrows move notes afterwards. */
function letGo() {
  let byPointer = false;
  document.addEventListener("pointerdown", () => (byPointer = true), true);
  document.addEventListener("keydown", () => (byPointer = false), true);
  const release = (event) => {
    const control = event.target.closest?.("button, select, input[type=range], input[type=checkbox], input[type=radio]");
    if (byPointer && control && !control.closest("dialog, [role=tablist]")) control.blur();
  };
  document.addEventListener("click", (event) => event.target.closest("button, input") && release(event));
  document.addEventListener("change", release);
}

export function mountKeys() {
  letGo();
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const name = nameOf(event);
    if (isTaken(event.target, name)) return;
    for (let i = bindings.length - 1; i >= 0; i--) {
      if (!bindings[i].keys.includes(name)) continue;
      if (bindings[i].run(event) === false) continue;
      event.preventDefault();
      return;
    }
  });
}
