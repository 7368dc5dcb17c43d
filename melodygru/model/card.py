"""The card of a checkpoint: what is known of its training, as far as anything is reckoned from it or shown of it."""

from __future__ import annotations

from melodygru.events.statistics import MAX_STYLES
from melodygru.util.schema import Integer, Number, Optional, Plain, Record, Row, Rows, Table, Text

_MEASURE = Number(-1e12, 1e12)
_CORPUS = Record({"name": Text(), "fingerprint": Text(64), "pieces": Integer(), "notes": Integer()}, others=Plain())
_VALIDATION = Record(
    {"from": Text(), "pieces": Integer(), "judged": Integer()}, required=frozenset({"from", "pieces"}), others=Plain()
)
HISTORY_ROW = Record({"step": Integer(), "minutes": _MEASURE, "validation_nats_per_note": _MEASURE}, others=_MEASURE)

CARD = Record(
    {
        "corpus": Optional(_CORPUS),
        "validation": Optional(_VALIDATION),
        "history": Rows(HISTORY_ROW, 0, 100_000),
        "from": Optional(Text(10_000)),
        "seed": Integer(-(1 << 63), (1 << 63) - 1),
        "recorded": Text(64),
        "versions": Table(Text(200), 100),
        "validation_nats_per_note": _MEASURE,
        # Nats a note of held-out pieces, mean and spread, for each style and then for all; null where they are too few.
        "piece_nats": Rows(Optional(Row(_MEASURE, _MEASURE)), 0, MAX_STYLES + 1),
    },
    required=frozenset(),
    others=Plain(),
)
