"""The card of a checkpoint: what is known of its training, as far as anything is reckoned from it or shown of it."""

from __future__ import annotations

from melodygru.util.schema import Integer, Number, Optional, Plain, Record, Rows, Table, Text

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
    },
    required=frozenset(),
    others=Plain(),
)
