"""Which channels play drums, by the messages of GS, XG and GM2, and files written twice for two kinds of synthesiser.

Sources: Roland SC-55 and SC-88 (address 40 1x 15, "use for rhythm part"), Yamaha XG (address 08 nn 07, "part mode";
banks 126 and 127), MMA RP-024 (General MIDI 2; banks 120 and 121), Microsoft's Multimedia PC authoring guidelines
(channels 1 to 10 for extended synthesisers, 13 to 16 for base-level ones, marked by a sequencer-specific event 00 00
41).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from melodygru.midi.chunks import DRUM_CHANNEL

RHYTHM_BANKS = frozenset((120, 121, 126, 127))  # values of controller 0 that can say whether a channel plays drums
MAKERS = (0x41, 0x43)  # first bytes of system exclusive messages that can: Roland, Yamaha
TWICE = b"\0\0\x41"  # first bytes of the event that marks a file written twice
_XG_ON = bytes.fromhex("4C 00 00 7E 00")

Message = tuple[int, int, int, bytes]  # tick, channel (of a system exclusive one: the port's first), status, data


def switches(messages: Iterable[Message]) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """When channels begin and stop to play drums.

    Parameters
    ----------
    messages : iterable of Message
        System exclusive messages, controllers 0 and program changes, ordered by (tick, track, file order).

    Returns
    -------
    dict of channel -> (ticks, whether it plays drums from there on)
    """
    messages = list(messages)
    xg = any(status == 0xF0 and data[:1] == b"\x43" and data[2:7] == _XG_ON for _, _, status, data in messages)
    banks: dict[int, int] = {}
    found: dict[int, tuple[list[int], list[bool]]] = {}
    for tick, channel, status, data in messages:
        is_drum: bool | None = None
        if status == 0xF0:
            part, is_drum = _mode(data)
            channel += part
        elif status >> 4 == 0xB:
            banks[channel] = data[1]
        elif channel in banks:
            bank = banks[channel]
            if bank == 120 or xg and bank in (126, 127):
                is_drum = True
            elif bank == 121 or xg and channel % 16 != DRUM_CHANNEL:
                is_drum = False
        if is_drum is not None:
            ticks, flags = found.setdefault(channel, ([], []))
            ticks.append(tick)
            flags.append(is_drum)
    return {channel: (np.array(ticks), np.array(flags)) for channel, (ticks, flags) in found.items()}


def _mode(data: bytes) -> tuple[int, bool | None]:
    """The part (as a channel 0..15) that a system exclusive message makes one of drums, or not; None: neither."""
    if data[:1] == b"\x41" and data[2:5] == b"\x42\x12\x40" and len(data) > 7 and data[5] >> 4 == 1 and data[6] == 0x15:
        block = data[5] & 15  # 0 is the tenth part, and those before it follow from 1 on
        return DRUM_CHANNEL if block == 0 else block - (block <= DRUM_CHANNEL), data[7] > 0
    if data[:1] == b"\x43" and data[2:4] == b"\x4c\x08" and len(data) > 6 and data[4] < 16 and data[5] == 0x07:
        return data[4], data[6] > 0
    return 0, None


def plays_drums(found: dict[int, tuple[np.ndarray, np.ndarray]], channel: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Whether notes on channels at ticks are drums, shape (n,), bool; `found` is what `switches` returns."""
    drums = channel % 16 == DRUM_CHANNEL
    for of, (moments, flags) in found.items():
        here = np.flatnonzero(channel == of)
        at = np.searchsorted(moments, ticks[here], side="right") - 1
        drums[here] = np.where(at >= 0, flags[at], drums[here])
    return drums


def written_twice(channel: np.ndarray) -> np.ndarray:
    """Which notes of a marked file repeat the others for a base-level synthesiser, shape (n,), bool."""
    base = channel % 16 >= 12
    return base if np.any(channel % 16 <= DRUM_CHANNEL) else np.zeros(len(channel), bool)
