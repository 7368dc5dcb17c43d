"""Guards: a stream taken back, collapse found on the stream, what a listener hears, and no copy."""

import numpy as np
import pytest
import toys

from melodygru.errors import SettingError
from melodygru.sampling import Sampler
from melodygru.sampling import sampler as room

# -- a stream is taken back


def _sampler(name="many", n=3, seed=0, **settings):
    rngs = [np.random.default_rng([seed, stream]) for stream in range(n)]
    return Sampler(toys.network(name), rngs, metres=[toys.VOCABULARIES[name].metres[0]] * n, **settings)


def _steps(sampler, n):
    for _ in range(n):
        sampler.step(may_end=False)


def _of_stream(sampler, stream):
    """All that decides how a stream goes on, but its numbers."""
    context = {name: value for name, value in vars(sampler.contexts[stream]).items() if name != "vocabulary"}
    state = [array[stream].copy() for array in sampler._state]
    rest = (sampler.rows[stream][:], sampler._previous[stream], sampler.done[stream], sampler.ends[stream])
    return state, float(sampler.log_p[stream]), sampler._context[stream].tolist(), context, rest


def _assert_same(found, expected, tolerance=0.0):
    for one, other in zip(found[0], expected[0], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance)
    assert found[1:3] == expected[1:3]
    of_context = {name: value for name, value in found[3].items() if name != "_sources"}  # found anew before each event
    assert of_context == {name: expected[3][name] for name in of_context}
    assert found[4] == expected[4]


@pytest.mark.parametrize("name", ["many", "performance"])
@pytest.mark.parametrize("n", [0, 1, 13, 29, 30])
def test_a_stream_taken_back_is_as_if_it_had_never_gone_on(name, n):
    fresh, gone_on = _sampler(name), _sampler(name)
    _steps(fresh, n)
    _steps(gone_on, 30)
    gone_on.rewind(1, n)
    _assert_same(_of_stream(gone_on, 1), _of_stream(fresh, 1))


def test_the_next_note_of_a_stream_taken_back_is_expected_as_it_was():
    fresh, gone_on = _sampler(), _sampler()
    _steps(fresh, 13)
    _steps(gone_on, 30)
    gone_on.rewind(1, 13)
    np.testing.assert_array_equal(gone_on._last.context[1], gone_on.network.bag(gone_on._context[1:2])[0])
    np.testing.assert_array_equal(gone_on._step().logits("shift")[1], fresh._step().logits("shift")[1])


def test_a_stream_goes_back_twice_and_beyond_what_is_kept(monkeypatch):
    monkeypatch.setattr(room, "PAST_LEAST", 4)
    monkeypatch.setattr(room, "PAST_BYTES", 1)
    monkeypatch.setattr(room, "LANDMARK", 8)
    fresh, gone_on = _sampler(), _sampler()
    _steps(gone_on, 40)
    for n in (30, 21, 11, 3):
        gone_on.rewind(1, n)
        _steps(gone_on, 12)
        assert len(gone_on.rows[1]) == n + 12
    assert len(gone_on._past_state) < 20
    gone_on.rewind(1, 3)
    _steps(fresh, 3)
    assert gone_on.rows[1] == fresh.rows[1]
    _assert_same(_of_stream(gone_on, 1), _of_stream(fresh, 1), tolerance=1e-6)


def test_the_others_do_not_notice():
    alone, beside = _sampler(), _sampler()
    _steps(alone, 60)
    for n in (20, 5, 0):
        _steps(beside, 20)
        beside.rewind(1, n)
    assert len(beside.rows[1]) == 0
    for stream in (0, 2):
        assert beside.rows[stream] == alone.rows[stream]
        _assert_same(_of_stream(beside, stream), _of_stream(alone, stream))


def test_what_comes_after_is_drawn_anew():
    gone_on, kept = _sampler(), _sampler()
    _steps(kept, 30)
    _steps(gone_on, 30)
    gone_on.rewind(1, 10)
    _steps(gone_on, 20)
    assert gone_on.rows[1][:10] == kept.rows[1][:10]
    assert gone_on.rows[1][10:] != kept.rows[1][10:]


def test_an_ended_stream_goes_on():
    network = toys.network("one", end_bias=8.0)
    sampler = Sampler(network, [np.random.default_rng(3), np.random.default_rng(4)])
    while not sampler.done[0]:
        sampler.step()
    n = len(sampler.rows[0])
    for _ in range(3):
        sampler.step(may_end=False)  # the other goes on meanwhile
    sampler.rewind(0, n)
    assert (sampler.done[0], sampler.ends[0], len(sampler.rows[0])) == (False, None, n)
    sampler.step(may_end=False)
    assert len(sampler.rows[0]) == n + 1


def test_the_primer_is_not_taken_back():
    piece = toys.piece(toys.VOCABULARIES["many"], n=6)
    sampler = _sampler(primer=piece)
    _steps(sampler, 4)
    sampler.rewind(0, 6)
    assert len(sampler.rows[0]) == 6
    for n in (5, 7):
        with pytest.raises(SettingError, match=rf"rewind to {n} notes: expected 6..6, those of stream 0"):
            sampler.rewind(0, n)


def test_the_next_note_avoids_pitches_where_it_can():
    for seed in range(8):
        sampler = _sampler("one", n=2, seed=seed)
        _steps(sampler, 5)
        sampler.rewind(0, 5, avoid=range(0, 127))
        _steps(sampler, 2)
        assert sampler.rows[0][5][2] == 127
        sampler.rewind(0, 5, avoid=range(128))
        _steps(sampler, 1)
        assert len(sampler.rows[0]) == 6
