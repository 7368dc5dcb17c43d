"""Notochord's own loop of query and feed, random weights, one stream, on the CPU.

    python sampling.py LAYERS UNITS EMBEDDING EVENTS

Prints the seconds of each event, the first ones left out.
"""

import contextlib
import json
import os
import sys
import time

import torch

UNTIMED = 20  # events


def main(layers, units, embedding, events):
    torch.manual_seed(0)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    from notochord import Notochord

    model = Notochord(emb_size=embedding, rnn_hidden=units, rnn_layers=layers).eval()
    model.reset()
    for _ in range(UNTIMED):
        model.query_feed()
    started = time.perf_counter()
    for _ in range(events):
        model.query_feed()
    return (time.perf_counter() - started) / events


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # the library prints as it goes
        seconds = main(*map(int, sys.argv[1:]))
    print(json.dumps({"seconds_per_event": seconds}))
