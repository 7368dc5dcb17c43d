"""How often each pitch class stood among the last notes, and in the piece so far."""

from __future__ import annotations

from collections import deque

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import DRUMS

N_RECENT = 24  # notes that the recent pitch classes are counted over
OFTEN = 3  # times among them that a pitch class is there often
KEY_SHARES = (24, 8)  # a pitch class with this part of a piece's notes, or more, belongs to its key; is at its centre

_LEVELS = [(count > 0) + (count >= OFTEN) for count in range(N_RECENT + 1)]
_DRUMS, _NO_NOTE = 12, 13  # beside the twelve pitch classes


class PitchClassLevels(Feature):
    """Twelve levels among the last N_RECENT notes, then twelve in the whole piece so far; drums don't count.

    Among the last: 0 absent, 1 present, 2 often. In the piece: 0 absent, 1 present, 2 in the key, 3 at its centre (see
    KEY_SHARES); all 0 without `Vocabulary.key`.
    """

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"pitch_class_levels": 24}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        levels, n = arrays["pitch_class_levels"], len(piece.pitch)
        count = np.zeros((12, n + 1), np.int32)  # a row for each class: these are summed along
        classes = np.where(piece.is_pitched, piece.pitch % 12, _DRUMS)
        np.cumsum(classes == np.arange(12)[:, None], axis=1, out=count[:, 1:])
        recent = count.copy()
        recent[:, N_RECENT:] -= count[:, : max(0, n + 1 - N_RECENT)]
        levels[:, :12] = ((recent > 0).astype(np.uint8) + (recent >= OFTEN)).T
        if piece.vocabulary.key:
            total = count.sum(0)
            # count * share >= total, for what is present
            least = [np.maximum(1, -(-total // share)) for share in KEY_SHARES]
            levels[:, 12:] = sum(((count >= floor).view(np.uint8) for floor in least), (count > 0).view(np.uint8)).T

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._key = past.vocabulary.key
        self._counts, self._total = [0] * 12, 0  # in all notes
        self._recent = [0] * 14  # in the last notes
        self._classes = deque([_NO_NOTE] * N_RECENT)  # of the last notes

    def row(self) -> list[int]:
        """The columns, of what stands before the event."""
        levels = [_LEVELS[count] for count in self._recent[:12]]
        if not self._key:
            return levels + [0] * 12
        # Whole counts are compared with shares rounded up: the same, and no product for each.
        in_key, central = (-(-self._total // share) for share in KEY_SHARES)
        return levels + [1 + (count >= in_key) + (count >= central) if count else 0 for count in self._counts]

    def add(self) -> None:
        past, recent = self.past, self._recent
        if past.programs[past.part] == DRUMS:
            pitch_class = _DRUMS
        else:
            pitch_class = past.pitch % 12
            self._counts[pitch_class] += 1
            self._total += 1
        recent[self._classes.popleft()] -= 1
        recent[pitch_class] += 1
        self._classes.append(pitch_class)
