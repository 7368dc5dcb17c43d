"""The line-up: the programs of the parts that the piece will have, where it is known before the first note."""

from __future__ import annotations

import numpy as np

from melodygru.events.features.feature import Feature, Region
from melodygru.events.features.piece import Past, Piece
from melodygru.events.vocabulary import Vocabulary
from melodygru.music.notes import N_PROGRAMS

N_TO_COME = 16  # classes of how many parts are still to come in
N_BYTES = -(-(N_PROGRAMS + 1) // 8)


class LineUp(Feature):
    """How many parts of the line-up are still to come in, and of which programs; nothing where it is unknown.

    The programs are bits, `program % 8` of byte `program // 8`; bit 129 is set where the line-up is known.
    """

    @staticmethod
    def blocks(vocabulary: Vocabulary) -> dict[str, int]:
        return {"line_up": N_TO_COME if vocabulary.models_part else 0}

    @staticmethod
    def columns(vocabulary: Vocabulary) -> dict[str, int]:
        return {"context": 1, "line_up": N_BYTES} if vocabulary.models_part else {}

    @staticmethod
    def encode(piece: Piece, region: Region, arrays: dict[str, np.ndarray]) -> None:
        if not piece.line_up_known:
            return
        to_come = np.zeros((len(piece.at), 8 * N_BYTES), bool)
        to_come[:, N_PROGRAMS] = True
        n = np.full(len(piece.at), len(piece.firsts))
        for first, program in zip(piece.firsts, piece.part_programs, strict=True):
            to_come[: first + 1, program] = True
            n[first + 1 :] -= 1
        arrays["line_up"][:] = np.packbits(to_come, axis=1, bitorder="little")
        arrays["context"][:, region.columns["context"]] = region.blocks["line_up"] + np.minimum(n, N_TO_COME - 1)

    def __init__(self, past: Past, region: Region) -> None:
        super().__init__(past, region)
        self._first = region.blocks["line_up"]

    def context(self, row: list[int]) -> None:
        to_come = self.past.line_up
        row.append(0 if to_come is None else self._first + min(to_come.total(), N_TO_COME - 1))

    def row(self) -> bytearray:
        """The bytes, at the onset."""
        row, to_come = bytearray(N_BYTES), self.past.line_up
        if to_come is not None:
            row[N_PROGRAMS // 8] |= 1 << N_PROGRAMS % 8
            for program, n in to_come.items():
                if n:
                    row[program // 8] |= 1 << program % 8
        return row
