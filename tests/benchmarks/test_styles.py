"""The style classifier of benchmarks/styles.py, on points whose class is plain to see."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import numpy as np
import pytest

from melodygru.corpus import intake, split

SOURCE = Path(__file__).parents[2] / "benchmarks" / "styles.py"
SPEC = importlib.util.spec_from_file_location("styles", SOURCE)
styles = importlib.util.module_from_spec(SPEC)
sys.modules["styles"] = styles
SPEC.loader.exec_module(styles)


@pytest.fixture
def points(rng):
    """Three classes of 40 points: the first column and the second tell them apart, the others are noise."""
    classes = np.repeat([0, 1, 2], 40)
    columns = rng.normal(size=(120, 6))
    columns[:, 0] += 6 * (classes == 1)
    columns[:, 1] += 6 * (classes == 2)
    columns[:, 5] = 7
    return columns, np.array([1, 1, 3, 3, 3, 1]), classes


def test_plain_classes_are_learned(points):
    columns, widths, classes = points
    known = styles.Classifier.fit(columns, widths, classes, 3, 0.001)
    assert (known.classify(columns) == classes).mean() > 0.98
    assert known.classify(np.array([[0, 6, 0, 0, 0, 7.0], [6, 0, 0, 0, 0, 7], [0, 0, 0, 0, 0, 7]])).tolist() == [
        2,
        1,
        0,
    ]


def test_the_gradient_is_zero_at_the_end(points):
    columns, widths, classes = points
    known = styles.Classifier.fit(columns, widths, classes, 3, 0.01)
    z = known.standardised(columns)
    p = np.exp(z @ known.weights + known.bias)
    p /= p.sum(axis=1, keepdims=True)
    error = p - np.eye(3)[classes]
    assert np.abs(z.T @ error / len(z) + 0.01 * known.weights).max() < 1e-3
    assert np.abs(error.mean(axis=0)).max() < 1e-3


def test_columns_of_a_wide_feature_weigh_less(points):
    columns, widths, classes = points
    z = styles.Classifier.fit(columns, widths, classes, 3, 0.01).standardised(columns)
    assert z.std(axis=0) == pytest.approx([1, 1, 3**-0.5, 3**-0.5, 3**-0.5, 0])


def test_what_a_piece_lacks_counts_as_the_mean(points):
    columns, widths, classes = points
    columns[0, 0] = np.nan
    known = styles.Classifier.fit(columns, widths, classes, 3, 0.01)
    assert known.standardised(columns)[0, 0] == 0 and np.isfinite(known.weights).all()


def test_cross_validation_finds_what_can_be_told_apart_and_what_cannot(points, rng):
    columns, widths, classes = points
    assert styles.cross_validate(columns, widths, classes, 3)[1] > 0.95
    assert styles.cross_validate(columns, widths, rng.permutation(classes), 3)[1] < 0.5


def test_reasons_name_the_feature_that_misleads(points):
    columns, widths, classes = points
    known = styles.Classifier.fit(columns, widths, classes, 3, 0.01)
    astray = np.array([[6.0, 0, 0, 0, 0, 7]] * 3)  # asked for as class 0, and like class 1 in the first column
    found = styles.reasons(known, astray, np.array([0.0, 0, 0, 0, 0, 7]), known.classify(astray), 0, list("abcccd"))
    assert list(found)[0] == "a" and found["a"] > 10 * max(abs(found[name]) for name in "bcd")
    assert styles.reasons(known, astray, astray[0], np.array([0, 0, 0]), 0, list("abcccd")) == {}


def test_the_division_is_the_trainings_own(tunes, tmp_path, monkeypatch):
    monkeypatch.setenv("MELODYGRU_CACHE", str(tmp_path))
    corpus = intake(tunes)
    train, held_out = split(corpus, 0.1, 5)
    card = {"seed": 5, "corpus": {"fingerprint": train.fingerprint}}
    found = styles.divided(corpus, card)
    assert [p.path for p in found[0].pieces] == [p.path for p in train.pieces]
    assert [p.path for p in found[1].pieces] == [p.path for p in held_out.pieces]
    with pytest.raises(click.ClickException, match="no piece of it is known to be unseen"):
        styles.divided(corpus, {**card, "corpus": {"fingerprint": corpus.fingerprint}})
    with pytest.raises(click.ClickException, match="was not trained on"):
        styles.divided(corpus, SimpleNamespace(get=lambda _, default: default))
