"""Counts of a training corpus, and draws from them: a new piece's metre, key, length, tempo and line-up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melodygru.music.chords import N_CHORDS
from melodygru.music.extremes import Extremes
from melodygru.music.form import of_length, returns_of
from melodygru.music.notes import N_PROGRAMS
from melodygru.music.progression import laid_out
from melodygru.music.traits import TRAITS
from melodygru.util.schema import Integer, Number, Optional, Row, Rows, entry

MAX_STYLES = 10_000
MAX_METRES = 1000
MAX_STEP = 1 << 40
PROGRAM_FORM = Integer(0, N_PROGRAMS - 1)
METRE_FORM = Row(Integer(1, 255), Integer(1, 128))  # as MIDI has them
_QPM = Number(0.01, 1e8)
_COUNT = Integer()
_TRAIT = Number(0, 1e15)
_RANGE = Optional(Row(_TRAIT, _TRAIT))  # mean and spread
MAX_RUNS = 1000  # of bars in a form
USUAL = (0.1, 0.9)  # between these quantiles of a style's lengths a piece is as long as usual
RETURNING, ALIKE = 0.25, 0.3  # share of a style's bars that return, at least; likeness to the bar before, at most
RUN_FORM = Row(Integer(1, 100_000), Integer(0, 100_000))
CHORD_RUN_FORM = Row(Integer(1, 200_000), Integer(0, N_CHORDS - 1))
Form = tuple[int, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class CorpusStatistics:
    """Counts of a training corpus by style and metre; of anything not counted, what is empty or 0, nothing is known.

    Parameters
    ----------
    styles, metres, programs : those of the vocabulary that holds this
    qpm : float
        Median tempo of the pieces.
    metre_pieces : tuple of int
        How many pieces begin in each of the metres; empty: equally many.
    style_qpm, style_metres, style_programs : tuples, one for each style
        Its median tempo; how many of its pieces begin in each of the metres; its programs.
    lengths : tuple of int, for each of the metres, for each style and then for the whole corpus
        Steps of its pieces, quantiles of them in rising order; empty without such a piece.
    longest : int
        Steps of the longest piece. What is composed without a length ends there at the latest.
    signatures : tuple of int, for each style and then for the whole corpus
        How many of its pieces stand in each of the twelve key signatures (`music.keys.key_signature`).
    line_ups : tuple, for each style and then for the whole corpus
        The programs of the parts of some of its pieces, ascending; empty where every piece has one and the same.
    tempos : tuple of float, for each style and then for the whole corpus
        Quarter notes per minute of its pieces, quantiles of them in rising order.
    forms : tuple, for each style and then for the whole corpus
        Of some of its pieces the number of their metre, and their form as runs of bars, see `music.form.runs_of`.
    progressions : tuple, for each style and then for the whole corpus
        The chords of some of the pieces of `forms`, as runs of half bars, see `music.form.as_runs`, with C in
        place of the tonic of the major key that has the piece's signature; of the others none.
    extremes : tuple of float, for each style and then for the whole corpus
        How far its music may go, in the order of `music.extremes.Extremes`.
    typical : tuple, for each style and then for the whole corpus
        What is `music.traits.usual` of its pieces, in the order of TRAITS; None for what too few have.
    """

    styles: tuple[str, ...] = ()
    metres: tuple[tuple[int, int], ...] = ((4, 4),)
    programs: tuple[int, ...] = ()
    qpm: float = entry(_QPM, default=120.0)
    style_qpm: tuple[float, ...] = entry(Rows(_QPM, 0, MAX_STYLES), default=())
    metre_pieces: tuple[int, ...] = entry(Rows(_COUNT, 0, MAX_METRES), default=())
    style_metres: tuple[tuple[int, ...], ...] = entry(Rows(Rows(_COUNT, 0, MAX_METRES), 0, MAX_STYLES), default=())
    style_programs: tuple[tuple[int, ...], ...] = entry(
        Rows(Rows(PROGRAM_FORM, 0, N_PROGRAMS), 0, MAX_STYLES), default=()
    )
    lengths: tuple[tuple[tuple[int, ...], ...], ...] = entry(
        Rows(Rows(Rows(Integer(0, MAX_STEP), 0, 1024), 0, MAX_METRES), 0, MAX_STYLES + 1), default=()
    )
    longest: int = entry(Integer(0, MAX_STEP), default=0)
    signatures: tuple[tuple[int, ...], ...] = entry(Rows(Row(*[_COUNT] * 12), 0, MAX_STYLES + 1), default=())
    line_ups: tuple[tuple[tuple[int, ...], ...], ...] = entry(
        Rows(Rows(Rows(PROGRAM_FORM, 0, 1024), 0, 1024), 0, MAX_STYLES + 1), default=()
    )
    tempos: tuple[tuple[float, ...], ...] = entry(Rows(Rows(_QPM, 0, 1024), 0, MAX_STYLES + 1), default=())
    forms: tuple[tuple[Form, ...], ...] = entry(
        Rows(Rows(Row(Integer(0, MAX_METRES), Rows(RUN_FORM, 0, MAX_RUNS)), 0, 1024), 0, MAX_STYLES + 1), default=()
    )
    progressions: tuple[tuple[tuple[tuple[int, int], ...], ...], ...] = entry(
        Rows(Rows(Rows(CHORD_RUN_FORM, 0, MAX_RUNS), 0, 1024), 0, MAX_STYLES + 1), default=()
    )
    extremes: tuple[tuple[float, ...], ...] = entry(
        Rows(Row(*[Number(0, 1e15)] * len(Extremes._fields)), 0, MAX_STYLES + 1), default=()
    )
    typical: tuple[tuple[tuple[float, float] | None, ...], ...] = entry(
        Rows(Row(*[_RANGE] * len(TRAITS)), 0, MAX_STYLES + 1), default=()
    )

    def check(self) -> None:
        """ValueError if what is counted for each style or metre is not there for each of them, or for none."""
        styles, metres = len(self.styles), len(self.metres)
        sizes = {
            "style_qpm": (len(self.style_qpm), styles),
            "metre_pieces": (len(self.metre_pieces), metres),
            "style_metres": (len(self.style_metres), styles),
            "style_programs": (len(self.style_programs), styles),
            "lengths": (len(self.lengths), styles + 1),
            "signatures": (len(self.signatures), styles + 1),
            "line_ups": (len(self.line_ups), styles + 1),
            "extremes": (len(self.extremes), styles + 1),
            "typical": (len(self.typical), styles + 1),
            "tempos": (len(self.tempos), styles + 1),
            "forms": (len(self.forms), styles + 1),
            "progressions": (len(self.progressions), len(self.forms)),
        }
        sizes |= {f"style_metres[{at}]": (len(row), metres) for at, row in enumerate(self.style_metres)}
        sizes |= {f"lengths[{at}]": (len(row), metres) for at, row in enumerate(self.lengths)}
        both = zip(self.progressions, self.forms, strict=False)
        sizes |= {f"progressions[{at}]": (len(row), len(of)) for at, (row, of) in enumerate(both)}
        for name, (found, expected) in sizes.items():
            if found not in (0, expected):
                raise ValueError(f"{name} has {found} entries: expected {expected}, or none")

    def metre_of(self, style: str | None, draw: float = 0.0) -> tuple[int, int]:
        """A time signature of a style's pieces: the commonest, or as frequent as among them over draws in [0, 1)."""
        pieces = np.array(self._of_style(self.style_metres, style) or self.metre_pieces or [1] * len(self.metres))
        order = np.argsort(-pieces, kind="stable")
        return self.metres[order[np.searchsorted(np.cumsum(pieces[order]), draw * pieces.sum(), side="right")]]

    def signature_of(self, style: str | None, draw: float) -> int | None:
        """A key signature, as frequent as among a style's pieces over draws in [0, 1); None: unknown."""
        if not self.signatures:
            return None
        pieces = np.cumsum(self.signatures[self._place_of(style)])
        return int(np.searchsorted(pieces, draw * pieces[-1], side="right")) if pieces[-1] else None

    def length_of(self, style: str | None, metre: tuple[int, int], draw: float) -> int | None:
        """Steps of a piece of `style` in `metre`, as frequent as among them over draws in [0, 1); None: unknown."""
        if not self.lengths or metre not in self.metres:
            return None
        of_style = self.lengths[self._place_of(style)]
        lengths = of_style[self.metres.index(metre)] if of_style else ()
        return lengths[int(draw * len(lengths))] if lengths else None

    def line_up_of(
        self, style: str | None, draw: float, playing: Sequence[int] = (), more: bool = False
    ) -> tuple[int, ...] | None:
        """The programs of the parts of a piece of `style`, one of them over draws in [0, 1); None: unknown.

        Parameters
        ----------
        playing : programs of parts that the piece has already: the line-up is the nearest to them, with them in it
        more : whether it is to have a part besides these; None where no line-up has
        """
        line_ups = self.line_ups[self._place_of(style)] if self.line_ups else ()
        if not line_ups:
            return None
        first = int(draw * len(line_ups))
        if not playing:
            return line_ups[first]
        has = Counter(playing)
        ahead = [line_up for line_up in (*line_ups[first:], *line_ups[:first]) if not more or Counter(line_up) - has]
        if not ahead:
            return None
        nearest = max(ahead, key=lambda line_up: _likeness(line_up, playing))
        return tuple(sorted((Counter(nearest) | has).elements()))

    def style_nearest(self, programs: Sequence[int]) -> str | None:
        """The style that has the piece whose line-up is nearest to these programs; None without styles or line-ups."""
        if not self.styles or not self.line_ups:
            return None
        nearest = [max((_likeness(one, programs) for one in of_style), default=0.0) for of_style in self.line_ups]
        return max(zip(nearest, self.styles, strict=False), key=lambda pair: pair[0])[1]

    def extremes_of(self, style: str | None) -> Extremes | None:
        """How far a style's music may go; that of the whole corpus, where the style is unknown; None: unknown."""
        if not self.extremes:
            return None
        return Extremes(*self.extremes[self._place_of(style)])

    def typical_of(self, style: str | None) -> dict[str, tuple[float, float]]:
        """Mean and spread of the traits of a style's pieces, else of the whole corpus; what is unknown is left out."""
        if not self.typical:
            return {}
        found = dict(zip(TRAITS, self.typical[-1], strict=True))
        if style in self.styles:
            of_style = dict(zip(TRAITS, self.typical[self.styles.index(style)], strict=True))
            found |= {name: value for name, value in of_style.items() if value is not None}
        return {name: value for name, value in found.items() if value is not None}

    def form_stands_out(self, style: str | None) -> bool:
        """Whether bars of a style return, and differ from those beside them; else a form is hardly heard, or always.

        In bands nearly every bar is like the one before, and chorales return to few.
        """
        typical = self.typical_of(style)
        returns, alike = (typical.get(name, (0.0, 0.0))[0] for name in ("bar_returns", "bar_similarity_1"))
        return returns >= RETURNING and alike <= ALIKE

    def programs_of(self, style: str | None) -> tuple[int, ...]:
        """The programs of a style's pieces; of the whole corpus, where the style, or its pieces, are unknown."""
        return self._of_style(self.style_programs, style) or self.programs

    def form_of(
        self, style: str | None, metre: tuple[int, int], draw: float, n_bars: int | None = None
    ) -> np.ndarray | None:
        """The form of a piece of `style` in `metre`, one of them over draws in [0, 1); None: unknown.

        Parameters
        ----------
        n_bars : how long it is to be: the beginning of a longer piece's form, or one that begins again after its end;
            as long as usual if it isn't said

        Returns
        -------
        returns : array of int, see `music.form.bar_returns`
        """
        if not self.forms or metre not in self.metres:
            return None
        of_style = self.forms[self._place_of(style)]
        runs = [form for number, form in of_style if number == self.metres.index(metre)]
        if not runs:
            return None
        lengths = [sum(bars for bars, _ in form) for form in runs]
        if n_bars is None:
            low, high = np.quantile(lengths, USUAL, method="nearest")
            usual = [form for form, length in zip(runs, lengths, strict=True) if low <= length <= high]
            return returns_of(usual[int(draw * len(usual))])
        least = min(n_bars, max(lengths))
        long_enough = [form for form, length in zip(runs, lengths, strict=True) if length >= least]
        return of_length(returns_of(long_enough[int(draw * len(long_enough))]), n_bars)

    def chords_of(
        self, style: str | None, returns: np.ndarray, metre: tuple[int, int], draw: float
    ) -> np.ndarray | None:
        """Chords for a form, those of a piece of `style`, one of them over draws in [0, 1); None: unknown.

        Parameters
        ----------
        returns : array of int, shape (n_bars,)
            The form. Where others are there, no piece of just this form gives its chords.
        metre : pieces in it are preferred

        Returns
        -------
        chords : array of int, shape (2 n_bars,), see `music.progression.laid_out`
            With C in place of the tonic of the major key that has the piece's signature.
        """
        if not self.progressions:
            return None
        at = self._place_of(style)
        number = self.metres.index(metre) if metre in self.metres else -1
        both = zip(self.forms[at], self.progressions[at], strict=True)
        pieces = [(of, form, runs) for (of, form), runs in both if runs]
        pieces = [piece for piece in pieces if piece[0] == number] or pieces
        pieces = [one for one in pieces if not np.array_equal(returns_of(one[1])[:-1], returns[:-1])] or pieces
        if not pieces:
            return None
        _, form, runs = pieces[int(draw * len(pieces))]
        return laid_out(returns, form, runs)

    def tempo_of(self, style: str | None, draw: float | None = None) -> float:
        """Quarter notes per minute of a piece of `style`: the median, or as frequent as among them over draws."""
        if draw is not None and self.tempos:
            tempos = self.tempos[self._place_of(style)]
            if tempos:
                return tempos[int(draw * len(tempos))]
        if style in self.styles and self.style_qpm:
            return self.style_qpm[self.styles.index(style)]
        return self.qpm

    def _place_of(self, style: str | None) -> int:
        """Where a style's values stand among those for each style and then for the whole corpus."""
        return self.styles.index(style) if style in self.styles else -1

    def _of_style(self, values: tuple[tuple[int, ...], ...], style: str | None) -> tuple[int, ...]:
        """What is known of a style; empty where it, or its pieces, are unknown."""
        return values[self.styles.index(style)] if style in self.styles and values else ()


def _likeness(line_up: Sequence[int], programs: Sequence[int]) -> float:
    """How much of two line-ups is the same (F1), 0..1."""
    return 2 * (Counter(line_up) & Counter(programs)).total() / (len(line_up) + len(programs))
