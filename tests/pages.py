"""What tests of the studio's page share: waiting for it, looking into it, and a small piece to work on."""

import time
from pathlib import Path
from typing import Any

WAIT_S = 60  # that a busy machine may take


def until(page: Any, expression: str, argument: Any = None) -> Any:
    """Wait for a JavaScript expression, or function of `argument`, to hold in a page; its value.

    Playwright's own way evaluates text inside the page, which its Content-Security-Policy forbids.
    """
    end = time.monotonic() + WAIT_S
    while True:
        value = page.evaluate(expression, argument)
        if value:
            return value
        if time.monotonic() > end:
            said = page.evaluate("[...document.querySelectorAll('[role=alert], [role=status]')].map(e => e.innerText)")
            raise AssertionError(f"{expression} did not come true; the page says {said}")
        page.wait_for_timeout(20)


def state(page: Any, what: str) -> Any:
    """What a page's store holds: state(page, "piece.notes.length")."""
    return page.evaluate(f"studio.store.state.{what}")


def says(page: Any, words: str) -> str:
    """Wait for a sentence with these words in the page's message of an error; the sentence."""
    alert = page.get_by_role("alert").filter(has_text=words)
    alert.wait_for(timeout=WAIT_S * 1000)
    return alert.inner_text().strip()


def select(page: Any, bars: tuple[int, int] | None = None, parts: tuple[int, ...] = ()) -> None:
    """Select bars, from 0 and both included, and parts by index."""
    page.evaluate("([bars, parts]) => studio.select({bars, parts: new Set(parts)})", [bars, list(parts)])


def steer(page: Any, **values: Any) -> None:
    """Set values that steer, as the panel's controls do; without any, leave all to the model."""
    page.evaluate(
        """async (values) => {
            const {steering} = await import("/static/panels/settings.js");
            if (!Object.keys(values).length) steering.clear();
            for (const [name, value] of Object.entries(values)) steering.set(name, value);
        }""",
        values,
    )


def write_tune(path: Path, bars: int = 4) -> Path:
    """A melody in quarters over a bass in halves, in C and 4/4, 120 quarters a minute."""
    import pretty_midi

    piece = pretty_midi.PrettyMIDI(initial_tempo=120)
    for name, program, scale, beats, low in (
        ("Melody", 73, (0, 2, 4, 5, 7, 9, 7, 4), 1, 72),
        ("Bass", 32, (0, 7, 5, 7), 2, 36),
    ):
        part = pretty_midi.Instrument(program, name=name)
        for at in range(0, 4 * bars, beats):
            pitch = low + scale[at // beats % len(scale)]
            part.notes.append(pretty_midi.Note(80, pitch, at / 2, (at + beats) / 2))
        piece.instruments.append(part)
    piece.write(str(path))
    return path
