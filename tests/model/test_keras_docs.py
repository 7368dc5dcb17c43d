"""Every snippet of docs/keras.md runs, one after the other, in a folder such as the page speaks of."""

import re
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import toys

from melodygru.analysis import originality
from melodygru.corpus import intake
from melodygru.events import fit_vocabulary
from melodygru.model import checkpoint
from melodygru.model.keras_model import save

PAGE = Path(__file__).parents[2] / "docs" / "keras.md"
SNIPPETS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_snippet_runs_and_does_what_the_page_says(tunes, tmp_path, capsys):
    shutil.copytree(tunes, tmp_path / "midi_dir")
    corpus = intake(tmp_path / "midi_dir")
    path = tmp_path / "checkpoints" / "midi_dir.keras"
    styles = [piece.style for piece in corpus.pieces]
    save(toys.new_model(fit_vocabulary(zip(corpus, styles, strict=True), corpus.grid)), path)
    pieces = ((piece.path, sequence) for piece, sequence in zip(corpus.pieces, corpus, strict=True))
    originality.attach(path, originality.Index.build(pieces, corpus.grid))

    assert len(SNIPPETS) == 8
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of what Keras does to NumPy for tf2onnx
        for snippet in SNIPPETS:
            kept = {} if names.get("model") is None else _weights(names["model"])
            log_p = names.get("log_p")
            exec(compile(snippet, str(PAGE), "exec"), names)
            if "head_" in snippet:
                now = _weights(names["model"])
                changed = [name for name, value in now.items() if not np.array_equal(value, kept[name])]
                assert changed and all("head_" in name for name in changed)
            if "tf.saved_model" in snippet:
                log_p = names["model"].predict(names["inputs"], verbose=0)
            if "export(" in snippet:
                np.testing.assert_allclose(names["log_p"], log_p, atol=1e-4)
    assert re.search(r"\d nats per note", capsys.readouterr().out)
    assert len(names["pieces"]) == 1
    assert checkpoint.read_index(Path("mine.keras")) == checkpoint.read_index(path)


def _weights(model):
    return {weight.path: weight.numpy() for weight in model.weights}  # without the states of dropout
