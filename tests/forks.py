"""Runs commands for `test_faults`, each in a process forked from this one, which has imported what they need.

A line of JSON on standard input is a run: arguments, the folder to run in, changes of the environment, and files for
its output. The answer is a line with its exit code, which is negative for a signal's. A forked process is started a
hundred times while one that imports everything is started ten times.
"""

import importlib
import json
import os
import sys
import tempfile

IMPORTED = (
    *("h5py", "matplotlib.figure", "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "mido"),
    *("midirenderer", "soundfile", "sqlite3", "melodygru.compose.composer", "melodygru.corpus", "melodygru.midi"),
    *("melodygru.analysis.originality", "melodygru.render.audio", "melodygru.render.formats"),
    *("melodygru.render.pictures", "melodygru.render.score", "melodygru.model.numpy_model"),
)


def run(arguments, folder, environment, outputs):
    """Be that command; does not return."""
    for descriptor, path in enumerate((os.devnull, *outputs)):
        to = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(to, descriptor)
        os.close(to)
    os.chdir(folder)
    os.environ.update(environment)
    tempfile.tempdir = None
    main(arguments, prog_name="melodygru")


if __name__ == "__main__":
    from melodygru.cli import main

    for module in IMPORTED:
        importlib.import_module(module)
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
