// Sheet music beside the roll, drawn by the server where verovio is installed.

import { address, get, ignore } from "./api.js";
import { store } from "./store.js";

export function mountScore(element) {
  const image = document.createElement("img");
  const words = document.createElement("p");
  words.hidden = true;
  element.append(image, words);
  element.tabIndex = 0;
  element.setAttribute("role", "region");
  element.setAttribute("aria-label", "Sheet music");
  // An image doesn't tell why it failed; the same request does.
  image.addEventListener("error", async () => {
    image.hidden = true;
    words.hidden = false;
    words.textContent = "This piece could not be set as sheet music.";
    element.removeAttribute("aria-busy");
    drawn = "";
    try {
      await get(new URL(image.src).pathname);
    } catch (error) {
      ignore(error);
      words.textContent = error.message;
    }
  });
  image.addEventListener("load", () => element.removeAttribute("aria-busy"));
  let drawn = "";

  const show = () => {
    const { piece, view, status } = store.state;
    const middle = element.closest(".middle");
    const visible = view !== "roll" && Boolean(status?.verovio);
    element.hidden = !visible;
    document.getElementById("roll").hidden = view === "score" && visible;
    middle.classList.toggle("both", view === "both" && visible);
    if (!visible || !piece) return;
    const wanted = `${piece.id} ${piece.revision}`;
    if (wanted === drawn) return;
    drawn = wanted;
    element.setAttribute("aria-busy", "true");
    image.hidden = false;
    words.hidden = true;
    image.alt = `Sheet music of ${piece.name}`;
    image.src = address(`/api/pieces/${piece.id}/score.svg`, { revision: piece.revision });
  };
  store.on(["piece", "view", "status"], show);
}
