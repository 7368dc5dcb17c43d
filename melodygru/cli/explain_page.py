"""The page that `melodygru explain` writes, and its pictures: in the page itself, and as files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from melodygru.cli import page, screen
from melodygru.cli.explain import (
    DRAWN_UNITS,
    PAGE,
    Told,
    by_field,
    came,
    followers,
    follows,
    half_paid,
    length,
    mean_gates,
    named,
    share,
    where,
)
from melodygru.errors import SettingError
from melodygru.util.atomic import atomic_write
from melodygru.util.wording import counted

PICTURES = ("surprise.png", "gates.png", "memory.png", "following.png", "profiles.png")
MARK = '<meta name="generator" content="melodygru explain">'  # a page with it may be replaced
STYLE = "img { min-width: 40rem }"  # moved sideways where the window is narrow
FIELD_WORDS = {
    "shift": "shift (when)",
    "program": "program, and the end",
    "pitch": "pitch",
    "duration": "duration",
    "velocity": "velocity",
}
GATE_WORDS = {
    "update": "Update gate: open keeps what the unit held, shut replaces it",
    "reset": "Reset gate: open lets the past into the new value, shut leaves it out",
    "forget": "Forget gate: open keeps what the memory held, shut drops it",
    "output": "Output gate: open shows the memory, shut hides it",
}
ASPECT_WORDS = {
    "beat": "the place in the beat",
    "bar": "the place in the bar, beyond the beat",
    "phrase": "the bar's place among four",
    "key": "the pitch classes of the last 24 notes",
}


def claim(folder: Path) -> None:
    """Make the folder, or raise SettingError where it can't be, or where a file there is not ours to replace."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / PAGE
        ours = file.is_file() and MARK in file.read_text("utf-8", errors="replace")
        others = [] if ours else [name for name in (PAGE, *PICTURES) if (folder / name).exists()]
    except OSError as error:
        raise SettingError(
            f"--output-dir {screen.name(folder)}: {error.strerror or error}; expected a folder, or a name for a new one"
        ) from error
    if others:
        raise SettingError(
            f"--output-dir {screen.name(folder)}: holds {', '.join(others)} that melodygru explain did not write; "
            "choose another folder"
        )


def write(folder: Path, told: Told, progress: Callable[[int, int], None]) -> list[Path]:
    """Write the page and its pictures, each whole or not at all; returns their paths, the page's first.

    The page comes first, so that what an interrupted run leaves is known as ours.

    Parameters
    ----------
    progress : called with (done, total) pictures

    Raises
    ------
    SettingError
        A file can't be written.
    """
    drawn = {}
    for at, name in enumerate(PICTURES):
        drawn[name] = _png(name, told)
        progress(at + 1, len(PICTURES))
    page.write(folder / PAGE, html(told, drawn))
    for name, content in drawn.items():
        with atomic_write(folder / name, SettingError) as aside:
            aside.write_bytes(content)
    return [folder / PAGE, *(folder / name for name in PICTURES)]


# ---- pictures --------------------------------------------------------------------------------------------------


def _png(name: str, told: Told) -> bytes:
    """One of PICTURES, drawn."""
    from melodygru.events import FIELDS
    from melodygru.render import pictures

    account, heard, n = told.account, told.heard[0], len(told.drawn)
    title = Path(told.names[0]).name
    if name == "surprise.png":
        columns = [FIELDS.index(field) for field in told.fields]
        nats = np.maximum(heard.nats[:n, columns], 0.0)
        figure = pictures.surprise_figure(told.drawn, nats, told.fields, title)
    elif name == "gates.png":
        units = told.shown_units
        at = np.array([(unit.layer, unit.unit) for unit in units])
        gates = [
            (GATE_WORDS[gate], heard.gates[gate][1 : n + 1, at[:, 0], at[:, 1]])
            for gate in (told.gates[0], told.gates[-1])
        ]
        short = "b" if told.grid.is_metrical else "s"
        rows = [(unit.name, f"{length(account.half_life[unit.layer, unit.unit])} {short}") for unit in units]
        figure = pictures.gates_figure(told.drawn, gates, rows, title)
    elif name == "memory.png":
        figure = pictures.memory_figure(account.half_life, told.time, _marks(told), account.forgetting)
    elif name == "following.png":
        following = {aspect: (one.scores, one.needed) for aspect, one in account.following.items()}
        figure = pictures.following_figure(account.half_life, told.time, following)
    else:
        figure = pictures.profiles_figure(_profiles(told))
    return pictures.picture(figure, ".png")


def _marks(told: Told) -> list[tuple[float, str]]:
    """Places on the axis of half-lives that a musician knows."""
    if not told.grid.is_metrical:
        return [(1.0, "1 s"), (10.0, "10 s")]
    numerator, denominator = told.heard[0].sequence.metre
    bar = 4 * numerator / denominator
    return [(1.0, "quarter"), (bar, f"bar of {numerator}/{denominator}"), (4 * bar, "4 bars")]


def _profiles(told: Told) -> list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """For each aspect what its best unit does."""
    from melodygru.analysis.explain import profile

    found = []
    for aspect, (_, best) in followers(told).items():
        if not best:
            found.append((aspect, aspect, np.zeros(0), np.zeros(0), np.zeros(0)))
            continue
        name, score = best[0]
        layer, unit = map(int, name.split("/"))
        one = profile(told.heard, aspect, layer, unit)
        found.append((aspect, f"{aspect}: unit {name}, score {score:.2f}", one.at, one.mean, one.deviation))
    return found


# ---- the page --------------------------------------------------------------------------------------------------


def html(told: Told, drawn: dict[str, bytes]) -> str:
    """The page's HTML, with the pictures in it."""
    name = Path(told.names[0]).name
    body = f"""<h1>What the model does with {page.text(name)}</h1>
{page.facts(_facts(told))}
{_surprise(told, drawn)}
{_gates(told, drawn)}
{_memory(told, drawn)}
{_following(told, drawn)}"""
    return page.document(f"melodygru explain: {name}", body, style=STYLE, head=MARK + "\n")


def _facts(told: Told) -> Iterable[tuple[str, str]]:
    """What was heard: label and text."""
    yield "model", told.model
    yield "heard", f"{counted(len(told.heard), 'piece')}, {counted(told.account.notes, 'note')}"
    if told.left_out:
        yield "left out", f"{counted(told.left_out, 'piece')} more: these notes are enough"
    yield "drawn", f"{told.names[0]}: {told.drawn_part}"
    yield "grid", told.grid.describe()
    yield "model is told", told.knows


def _surprise(told: Told, drawn: dict[str, bytes]) -> str:
    """The section on surprise."""
    nats = by_field(told)
    fields = [(FIELD_WORDS[field], f"{value:.3f}") for field, value in nats]
    fields.append(("together", f"{sum(value for _, value in nats):.3f}"))
    rows = []
    for one in told.surprises:
        others = [f"{named(told, one.field, value)} {share(p)}" for value, p in one.alternatives]
        was = f"{one.field}: {named(told, one.field, one.came)} {share(one.probability)}"
        rows.append(
            (
                str(one.note + 1),
                where(told, one.note),
                came(told, one.note),
                f"{one.nats:.1f}",
                was,
                ", ".join(others) or "nothing else could come",
            )
        )
    picture = _picture(
        drawn,
        "surprise.png",
        "Piano roll with notes coloured by surprise, and bars of nats by field beneath it",
        "Notes coloured by their surprise; beneath, the nats of each onset by field, a chord's notes added up.",
    )
    headings = ("note", "where", "came", "nats", "most surprising in it", "expected instead")
    end = told.heard[0].nats[-1].sum()
    return f"""<h2>Surprise</h2>
<p>A note costs -ln p nats: 0 if the model was certain of it, 0.7 for one of two equal chances, 2.3 for one of ten.
Each field is judged given those before it: when (shift), who (program), which pitch, how long, how loud. The sum is
the likelihood that <code>melodygru evaluate</code> reports.</p>
{picture}
{page.table(("field", "nats per note"), fields, numbers=(1,))}
<p>The most surprising notes of the drawn piece (its end cost {end:.1f}). Probabilities are given all before the note,
and the fields of the note that come before the one named.</p>
{page.table(headings, rows, numbers=(0, 3))}"""


def _gates(told: Told, drawn: dict[str, bytes]) -> str:
    """The section on gates, and the units that matter."""
    account = told.account
    rows = [
        (
            unit.name,
            f"{unit.nats_per_note:+.4f}",
            length(account.half_life[unit.layer, unit.unit]),
            *(f"{mean:.2f}" for mean in mean_gates(told, unit)),
            ", ".join(f"{aspect} {score:.2f}" for aspect, score in follows(told, unit)) or "nothing seen here",
        )
        for unit in account.units[:DRAWN_UNITS]
    ]
    headings = ("unit", "nats per note", f"half-life, {told.time}", *(f"{gate} gate" for gate in told.gates), "follows")
    first, last = told.gates[0], told.gates[-1]
    decides = "how much of the past goes into what it takes up" if last == "reset" else "how much of it to show"
    candidates = counted(len(account.units) // len(account.half_life), "candidate")
    picture = _picture(
        drawn,
        "gates.png",
        f"Piano roll, and beneath it {first} and {last} gates as rows of colour, a column a note",
        "One row a unit, one column a note as it is heard: dark is shut, yellow is open.",
    )
    return f"""<h2>Gates</h2>
<p>At each note every unit decides how much of what it holds it keeps ({first} gate), and {decides} ({last} gate).
Below are the {counted(len(rows), "unit")} that matter most, the fast ones of each layer above the slow ones. At the
right stands each one's half-life in {told.time}.</p>
{picture}
<p>What a unit matters is what the music costs more, in nats per note, when the unit is silenced: held at its mean
(tried on {counted(account.tried_on, "note")}, {candidates} of each layer). Gates are means over all notes.</p>
{page.table(headings, rows, numbers=range(1, len(headings) - 1))}"""


def _memory(told: Told, drawn: dict[str, bytes]) -> str:
    """The section on half-lives, and on the memory of the whole."""
    from melodygru.analysis.explain import PERCENTILES

    account = told.account
    rows = [
        (f"layer {layer}", unit, *(length(value) for value in np.percentile(values, (*PERCENTILES, 100))))
        for layer, both in enumerate(zip(account.half_life, account.half_life_notes, strict=True))
        for unit, values in zip((told.time, "notes"), both, strict=True)
    ]
    headings = ("", "", *(f"{percentile}%" for percentile in PERCENTILES), "longest")
    forgetting = account.forgetting
    whole = f"With the last note alone in its memory the model pays {forgetting[0]:.3f} nats per note more"
    if (half := half_paid(told)) is not None:
        whole += f"; with the last {half}, half of that or less"
    whole += f"; with the last {len(forgetting)}, {forgetting[-1]:.3f}."
    picture = _picture(
        drawn,
        "memory.png",
        "Histograms of half-lives by layer, and the cost of a shorter memory",
        f"Left, how many units have which half-life in {told.time}. Right, the cost of a memory that begins later.",
    )
    return f"""<h2>Memory</h2>
<p>A unit's half-life is how long it takes until half of what it held is left, by its {told.gates[0]} gate alone. Units
also tell each other what they hold, so the whole remembers longer than its units: the curve at the right shows what
the music costs more when the memory begins so many notes before the one that is judged. {whole}</p>
{picture}
{page.table(headings, rows, numbers=range(2, len(headings)))}"""


def _following(told: Told, drawn: dict[str, bytes]) -> str:
    """The section on what units follow."""
    from melodygru.analysis.explain.following import LEAST_SCORE, SHUFFLES

    rows = []
    for aspect, (one, best) in followers(told).items():
        layers = " + ".join(f"{n:,}" for n in one.beyond.sum(1))
        rows.append(
            (
                f"{aspect}: {ASPECT_WORDS[aspect]}",
                f"{one.control:.3f}",
                f"{layers} of {one.scores.shape[1]:,} each",
                ", ".join(f"{name} {score:.2f}" for name, score in best) or "none",
            )
        )
    few = "One piece is little to tell following from chance by, for slow units above all: give a folder."
    without = "This music has neither beats nor bars to follow."
    remarks = [text for text, holds in ((few, len(told.heard) == 1), (without, not told.grid.is_metrical)) if holds]
    scatter = _picture(
        drawn,
        "following.png",
        "Score of each unit against its half-life, a panel for each aspect",
        "A dot is a unit: how well it follows, against how long it remembers.",
    )
    profiles = _picture(
        drawn,
        "profiles.png",
        "Mean output of the best unit at each place, a panel for each aspect",
        "What the best unit of each does: its mean output at each place; the band is a standard deviation each way. "
        "For the key, the correlation of its output with each pitch class's share.",
    )
    return f"""<h2>What units follow</h2>
<p>A unit's score is the share of its ups and downs, 0 to 1, that the place in the music explains; its mean and its
drift through each piece are taken out first. The control asks the same of music whose beats, bars and phrases begin at
random places, and whose pitch classes are those of another moment: of {SHUFFLES} shuffles, 95% have no unit above it.
A unit is said to follow if it is above the control and explains {LEAST_SCORE} or more, the dashed line: with much music
far less is beyond chance, and means little. {" ".join(remarks)}</p>
{scatter}
{page.table(("what", "control", "units that follow, by layer", "best"), rows, numbers=(1,))}
{profiles}"""


def _picture(drawn: dict[str, bytes], name: str, alt: str, caption: str) -> str:
    """A picture in the page, to be moved sideways where the window is narrow."""
    shown = page.image(drawn[name], "png", alt)
    return f'<figure><div class="wide">{shown}</div><figcaption>{page.text(caption)}</figcaption></figure>'
