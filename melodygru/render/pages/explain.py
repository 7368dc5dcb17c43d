"""The page of `melodygru explain` and its pictures: in the page itself, and as files beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from melodygru.analysis.explain import PERCENTILES, Surprise, profile
from melodygru.analysis.explain.following import LEAST_SCORE, SHUFFLES
from melodygru.analysis.explain.report import DRAWN_UNITS, Report, per_cent, three_digits
from melodygru.errors import SettingError
from melodygru.events import FIELDS
from melodygru.model.cells import CELLS
from melodygru.render.pages import html
from melodygru.util.atomic import atomic_write
from melodygru.util.files import read_regular
from melodygru.util.wording import counted, name

PAGE = "explain.html"
MAX_PAGE_BYTES = 1 << 28  # of one that was written before
PICTURES = ("surprise.png", "gates.png", "memory.png", "following.png", "profiles.png")
_MARK = '<meta name="generator" content="melodygru explain">'  # a page with it may be replaced
FIELD_WORDS = {
    "shift": "shift (when)",
    "part": "part, and the end",
    "pitch": "pitch",
    "duration": "duration",
    "velocity": "velocity",
}
GATE_WORDS = {gate: words for cell in CELLS.values() for gate, words in cell.gates.items()}
ASPECT_WORDS = {
    "beat": "the position in the beat",
    "bar": "the position in the bar, beyond the beat",
    "phrase": "the bar's number among four",
    "key": "the pitch classes of the last 24 notes",
}


def claim(folder: Path) -> None:
    """Make the folder, or raise SettingError where it can't be, or where a file there was written by something else."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / PAGE
        ours = file.is_file() and _MARK in read_regular(file, MAX_PAGE_BYTES).decode("utf-8", "replace")
        others = [] if ours else [one for one in (PAGE, *PICTURES) if (folder / one).exists()]
    except OSError as error:
        raise SettingError(
            f"--output-dir {name(folder)}: {error.strerror or error}; expected a folder, or a name for a new one"
        ) from error
    if others:
        raise SettingError(
            f"--output-dir {name(folder)}: holds {', '.join(others)} that melodygru explain did not write; "
            "choose another folder"
        )


def write(folder: Path, report: Report, progress: Callable[[int, int], None]) -> list[Path]:
    """Write the page and its pictures, each whole or not at all; returns their paths, the page's first.

    The page comes first, so that what an interrupted run leaves is known as ours.

    Parameters
    ----------
    folder : Path
    report : Report
    progress : called with (done, total) pictures

    Raises
    ------
    SettingError
        A file can't be written.
    """
    drawn = {}
    for at, picture in enumerate(PICTURES):
        drawn[picture] = _png(picture, report)
        progress(at + 1, len(PICTURES))
    html.write(folder / PAGE, document(report, drawn))
    for picture, content in drawn.items():
        with atomic_write(folder / picture, SettingError) as aside:
            aside.write_bytes(content)
    return [folder / PAGE, *(folder / picture for picture in PICTURES)]


def document(report: Report, drawn: dict[str, bytes]) -> str:
    """The page's HTML, with the pictures in it."""
    account = report.account
    title = Path(report.names[0]).name
    return html.render(
        "explain.html",
        title=f"melodygru explain: {title}",
        name=title,
        mark=html.markup(_MARK),
        report=report,
        facts=_facts(report),
        image=lambda picture, alt: html.image(drawn[picture], alt),
        fields=_fields(report),
        surprises=[_surprise(report, one) for one in report.surprises],
        end=report.traces[0].nats[-1].sum(),
        units=_units(report),
        unit_headings=(
            "unit", "nats per note", f"half-life, {report.time}", *(f"{gate} gate" for gate in report.gates), "follows",
        ),
        candidates=counted(len(account.units) // len(account.half_life), "candidate"),
        tried_on=counted(account.tried_on, "note"),
        half_lives=_half_lives(report),
        memory_headings=("", "", *(f"{percentile}%" for percentile in PERCENTILES), "longest"),
        half=report.notes_for_half(),
        forgetting=account.forgetting,
        following=_following(report),
        shuffles=SHUFFLES,
        least=LEAST_SCORE,
    )  # fmt: skip


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """What was found out from what: label and text."""
    yield "model", report.model
    yield "music", f"{counted(len(report.traces), 'piece')}, {counted(report.account.notes, 'note')}"
    if report.left_out:
        yield "left out", f"{counted(report.left_out, 'piece')} more: these notes are enough"
    yield "drawn", f"{report.names[0]}: {report.drawn_part}"
    yield "grid", report.grid.describe()
    yield "conditioned on", report.conditions


def _fields(report: Report) -> list[tuple[str, str]]:
    """Nats per note of each field, and together."""
    nats = report.nats_by_field()
    rows = [(FIELD_WORDS[field], f"{value:.3f}") for field, value in nats]
    return [*rows, ("together", f"{sum(value for _, value in nats):.3f}")]


def _surprise(report: Report, one: Surprise) -> Sequence[str]:
    """A row about a surprising note: where and what it is, what was most surprising in it, what was expected."""
    others = [f"{report.class_name(one.field, value)} {per_cent(p)}" for value, p in one.alternatives]
    return (
        str(one.note + 1),
        report.where(one.note),
        report.note_name(one.note),
        f"{one.nats:.1f}",
        f"{one.field}: {report.class_name(one.field, one.came)} {per_cent(one.probability)}",
        ", ".join(others) or "nothing else could come",
    )


def _units(report: Report) -> list[Sequence[str]]:
    """A row about each unit that matters most."""
    return [
        (
            unit.name,
            f"{unit.nats_per_note:+.4f}",
            three_digits(report.account.half_life[unit.layer, unit.unit]),
            *(f"{mean:.2f}" for mean in report.mean_gates(unit)),
            ", ".join(f"{aspect} {score:.2f}" for aspect, score in report.followed_by(unit)) or "nothing found here",
        )
        for unit in report.account.units[:DRAWN_UNITS]
    ]


def _half_lives(report: Report) -> list[Sequence[str]]:
    """Two rows about each layer: percentiles of its half-lives in time, and in notes."""
    account = report.account
    return [
        (f"layer {layer}", unit, *map(three_digits, np.percentile(values, (*PERCENTILES, 100))))
        for layer, both in enumerate(zip(account.half_life, account.half_life_notes, strict=True))
        for unit, values in zip((report.time, "notes"), both, strict=True)
    ]


def _following(report: Report) -> list[Sequence[str]]:
    """A row about each aspect: how many units of which layer follow it, and the best of them."""
    return [
        (
            f"{aspect}: {ASPECT_WORDS[aspect]}",
            f"{one.control:.3f}",
            f"{' + '.join(f'{n:,}' for n in one.beyond.sum(1))} of {one.scores.shape[1]:,} each",
            ", ".join(f"{unit} {score:.2f}" for unit, score in best) or "none",
        )
        for aspect, (one, best) in report.followers().items()
    ]


# ---- pictures --------------------------------------------------------------------------------------------------


def _png(picture: str, report: Report) -> bytes:
    """One of PICTURES, drawn."""
    from melodygru.render import pictures

    account, trace, n = report.account, report.traces[0], len(report.drawn)
    title = Path(report.names[0]).name
    if picture == "surprise.png":
        columns = [FIELDS.index(field) for field in report.fields]
        nats = np.maximum(trace.nats[:n, columns], 0.0)
        figure = pictures.surprise_figure(report.drawn, nats, report.fields, title)
    elif picture == "gates.png":
        units = report.shown_units
        at = np.array([(unit.layer, unit.unit) for unit in units])
        gates = [
            (GATE_WORDS[gate], trace.gates[gate][1 : n + 1, at[:, 0], at[:, 1]])
            for gate in (report.gates[0], report.gates[-1])
        ]
        short = "b" if report.grid.is_metrical else "s"
        rows = [(unit.name, f"{three_digits(account.half_life[unit.layer, unit.unit])} {short}") for unit in units]
        figure = pictures.gates_figure(report.drawn, gates, rows, title)
    elif picture == "memory.png":
        figure = pictures.memory_figure(account.half_life, report.time, _marks(report), account.forgetting)
    elif picture == "following.png":
        following = {aspect: (one.scores, one.needed) for aspect, one in account.following.items()}
        figure = pictures.following_figure(account.half_life, report.time, following)
    else:
        figure = pictures.profiles_figure(_profiles(report))
    return pictures.picture(figure, ".png")


def _marks(report: Report) -> list[tuple[float, str]]:
    """Times on the axis of half-lives that a musician knows."""
    if not report.grid.is_metrical:
        return [(1.0, "1 s"), (10.0, "10 s")]
    numerator, denominator = report.traces[0].sequence.metre
    bar = 4 * numerator / denominator
    return [(1.0, "quarter"), (bar, f"bar of {numerator}/{denominator}"), (4 * bar, "4 bars")]


def _profiles(report: Report) -> list[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """For each aspect what its best unit does."""
    found = []
    for aspect, (_, best) in report.followers().items():
        if not best:
            found.append((aspect, aspect, np.zeros(0), np.zeros(0), np.zeros(0)))
            continue
        name, score = best[0]
        layer, unit = map(int, name.split("/"))
        one = profile(report.traces, aspect, layer, unit)
        found.append((aspect, f"{aspect}: unit {name}, score {score:.2f}", one.at, one.mean, one.deviation))
    return found
