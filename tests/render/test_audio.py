import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
import wave
from enum import Enum

import mido
import numpy as np
import pytest

from melodygru import midi
from melodygru.errors import AudioError
from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, TEMPO, NoteSequence, note_array
from melodygru.render import audio


def piece(rows, *, grid=None, length=None, **marks):
    """Rows of (onset, duration, program, pitch, velocity); 4 steps a beat, so a step is 1/8 s."""
    notes = note_array(rows)
    end = int((notes["onset"] + notes["duration"]).max()) if len(notes) else 0
    return NoteSequence(notes, grid or Grid.beats(4), end if length is None else length, **marks)


RATE = audio.SAMPLE_RATE


def loudest_frequency(samples, start_s, end_s):
    part = samples[int(start_s * RATE) : int(end_s * RATE)].sum(axis=1)
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
    return float(np.argmax(spectrum) * RATE / len(part))


@pytest.fixture(params=["midirenderer", "built-in"])
def renderer(request, monkeypatch):
    if request.param == "midirenderer":
        pytest.importorskip("midirenderer")
    else:
        monkeypatch.setitem(sys.modules, "midirenderer", None)
    assert request.param in audio.renderer_name()
    return request.param


def with_messages(sequence, *messages):
    """A piece as a MIDI file with messages at its start."""
    import io

    file = mido.MidiFile(file=io.BytesIO(midi.to_bytes(sequence)))
    file.tracks[1][:0] = messages
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


class TestOwnMessages:
    """What a file says besides its notes."""

    A4 = piece([(0, 16, 0, 69, 100)])

    def test_bends_sound(self):
        pytest.importorskip("midirenderer")
        bent = with_messages(self.A4, mido.Message("pitchwheel", pitch=8191))
        samples = audio.render(self.A4, messages=bent)
        assert loudest_frequency(samples, 0.5, 1.5) == pytest.approx(440 * 2 ** (2 / 12), abs=3)

    def test_volumes_sound(self):
        pytest.importorskip("midirenderer")
        muted = with_messages(self.A4, mido.Message("control_change", control=7, value=0))
        assert not audio.render(self.A4, messages=muted).any()

    def test_the_volume_that_keeps_a_rendering_from_clipping_scales_the_files_own(self):
        quiet = with_messages(self.A4, mido.Message("control_change", control=7, value=80))
        scaled = audio.rendering._with_volume(quiet, 25)
        values = [m.value for m in mido.MidiFile(file=_stream(scaled)) if m.type == "control_change"]
        assert values == [25] * 16 + [20]

    def test_they_are_sent_to_a_port_and_taken_back_at_the_end(self):
        port = FakePort()
        sequence = piece([(0, 2, 5, 60, 90)], grid=FAST)
        pedal = mido.Message("control_change", control=64, value=127)
        audio.send(sequence, port, messages=with_messages(sequence, pedal, mido.Message("pitchwheel", pitch=100)))
        kinds = [(m.type, getattr(m, "control", None)) for m in port.messages]
        assert kinds == [
            ("control_change", 64),
            ("pitchwheel", None),
            ("program_change", None),
            ("note_on", None),
            ("note_off", None),
            ("control_change", 121),
            ("control_change", 123),
        ]


class TestRender:
    def test_pitches_come_out_at_their_frequencies(self, renderer):
        samples = audio.render(piece([(0, 8, 0, 69, 100), (8, 8, 0, 81, 100)]))
        assert loudest_frequency(samples, 0.1, 0.9) == pytest.approx(440, abs=3)
        assert loudest_frequency(samples, 1.1, 1.9) == pytest.approx(880, abs=4)

    def test_pitch_and_length_are_kept(self, renderer):
        samples = audio.render(piece([(0, 16, 0, 69, 100)]))
        assert loudest_frequency(samples, 0.1, 1.9) == pytest.approx(440, abs=3)
        assert 2.0 < len(samples) / RATE < 7.0

    def test_samples_are_stereo_float32_and_reach_the_stated_peak(self, renderer):
        samples = audio.render(piece([(0, 4, 0, 60, 10), (4, 4, 40, 64, 20), (8, 4, DRUMS, 38, 20)]))
        assert samples.dtype == np.float32 and samples.shape[1] == 2
        assert 20 * np.log10(np.abs(samples).max()) == pytest.approx(audio.PEAK_DBFS, abs=0.01)

    def test_tempo_changes_move_the_notes(self, renderer):
        tempos = np.array([(0, 500_000), (8, 1_000_000)], TEMPO)  # steps 0..8: 1 s; steps 8..16: 2 s
        samples = audio.render(piece([(0, 8, 16, 57, 100), (16, 4, 16, 81, 100)], tempos=tempos))
        assert loudest_frequency(samples, 3.1, 3.9) > 800
        assert np.abs(samples[int(2.5 * RATE) : int(2.95 * RATE)]).max() < 0.01

    def test_sound_dies_away_and_half_a_second_of_rest_follows(self, renderer):
        samples = audio.render(piece([(0, 4, 48, 60, 100)], length=400))  # half a second of strings, 49 of rest
        assert 0.5 + audio.REST_S < len(samples) / RATE < 10
        quiet = np.abs(samples[-int(audio.REST_S * RATE) :])
        assert quiet.max() <= 10 ** ((audio.PEAK_DBFS + audio.AUDIBLE_DB) / 20)
        assert quiet[-1].max() == 0
        held = int(0.5 * RATE)
        assert np.abs(samples[held : held + 2000]).max() > 0.005  # the tail is kept, not cut at the note-off

    def test_no_notes_are_silence(self, renderer):
        samples = audio.render(piece([], length=64))
        assert samples.shape == (24_000, 2)
        assert not samples.any()

    def test_every_program_and_drum_sounds(self, renderer):
        rows = [(p, 4, p, 60, 100) for p in range(0, 128, 8)]
        rows += [(128 + 4 * i, 2, DRUMS, pitch, 100) for i, pitch in enumerate((35, 38, 42, 46, 49, 60))]
        samples = audio.render(piece(rows))
        for onset, *_ in rows:
            start = int(onset / 8 * RATE)
            assert np.abs(samples[start : start + 11_000]).max() > 0.001

    def test_rendering_is_deterministic(self, renderer):
        sequence = piece([(0, 4, 0, 60, 90), (0, 4, DRUMS, 42, 90)])
        assert np.array_equal(audio.render(sequence), audio.render(sequence))

    def test_a_grid_of_seconds_renders_in_its_own_time(self, renderer):
        samples = audio.render(piece([(0, 20, 16, 57, 100), (150, 50, 0, 69, 100)], grid=Grid.seconds(100)))
        assert loudest_frequency(samples, 1.55, 1.95) == pytest.approx(440, abs=4)


class TestSoundFontRenderer:
    @pytest.fixture(autouse=True)
    def installed(self):
        pytest.importorskip("midirenderer")

    def test_many_loud_notes_are_rendered_again_at_less_volume_instead_of_clipped(self, monkeypatch):
        rows = [(0, 16, program, pitch, 127) for program in (16, 18, 19, 29, 30, 61, 81, 87) for pitch in (36, 48)]
        volumes = []
        with_volume = audio.rendering._with_volume
        monkeypatch.setattr(audio.rendering, "_with_volume", lambda b, v: volumes.append(v) or with_volume(b, v))
        rows += [(0, 16, DRUMS, pitch, 127) for pitch in range(35, 82)]
        samples = audio.rendering._render_soundfont(piece(rows), audio.default_soundfont())
        assert volumes
        assert np.abs(samples.astype(int)).max() < 32_767

    def test_the_volume_reaches_every_channel(self):
        file = mido.MidiFile(file=_stream(audio.rendering._with_volume(midi.to_bytes(piece([(0, 4, 0, 60, 90)])), 50)))
        volumes = [(m.channel, m.value) for m in file if m.type == "control_change" and m.control == 7]
        assert volumes == [(channel, 50) for channel in range(16)]

    def test_a_missing_soundfont_is_named(self, tmp_path):
        with pytest.raises(AudioError, match=r"SoundFont .*none\.sf2: No such file.*expected a SoundFont 2 file"):
            audio.render(piece([(0, 4, 0, 60, 90)]), soundfont=tmp_path / "none.sf2")

    def test_a_file_of_another_kind_is_refused(self, tmp_path):
        path = tmp_path / "song.mid"
        path.write_bytes(b"MThd" + bytes(20))
        with pytest.raises(AudioError, match="not a SoundFont 2 file"):
            audio.render(piece([(0, 4, 0, 60, 90)]), soundfont=path)

    def test_a_damaged_soundfont_is_one_error_and_nothing_on_stderr(self, tmp_path, capfd):
        font = audio.default_soundfont().read_bytes()
        cut = tmp_path / "cut.sf2"
        cut.write_bytes(font[:5000])
        with pytest.raises(AudioError, match="the file may be damaged, try another"):
            audio.render(piece([(0, 4, 0, 60, 90)]), soundfont=cut)
        assert capfd.readouterr().err == ""

    def test_a_panic_of_the_renderer_is_an_audio_error(self, monkeypatch):
        class PanicException(BaseException):  # as PyO3 has it
            pass

        def panic(soundfont, midi_bytes):
            raise PanicException("index out of bounds")

        monkeypatch.setitem(sys.modules, "midirenderer", types.SimpleNamespace(render_wave_from=panic))
        with pytest.raises(AudioError, match="index out of bounds; the file may be damaged"):
            audio.render(piece([(0, 4, 0, 60, 90)]))

    def test_ctrl_c_while_rendering_stays_ctrl_c(self, monkeypatch):
        def interrupted(soundfont, midi_bytes):
            raise KeyboardInterrupt

        monkeypatch.setitem(sys.modules, "midirenderer", types.SimpleNamespace(render_wave_from=interrupted))
        with pytest.raises(KeyboardInterrupt):
            audio.render(piece([(0, 4, 0, 60, 90)]))

    def test_the_soundfont_is_found_without_importing_pretty_midi(self):
        code = "import sys; from melodygru.render import audio; print(audio.default_soundfont().name, *sys.modules)"
        out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        name, *modules = out.split()
        assert name == "TimGM6mb.sf2"
        assert not {"pretty_midi", "midirenderer", "miniaudio", "matplotlib"} & set(modules)


def _stream(data):
    import io

    return io.BytesIO(data)


class TestLimits:
    def test_the_longest_piece_passes_and_a_step_more_does_not(self, monkeypatch):
        monkeypatch.setattr(audio.rendering, "MAX_SECONDS", 2)
        assert len(audio.render(piece([(0, 1, 0, 60, 90)], length=16))) > 0
        with pytest.raises(AudioError, match=r"the piece lasts 0:02: at most 0:02 can be rendered; crop it"):
            audio.render(piece([(0, 1, 0, 60, 90)], length=17))

    def test_an_absurd_length_is_refused_at_once(self):
        with pytest.raises(AudioError, match="at most 30:00"):
            audio.render(piece([(0, 1, 0, 60, 90)], length=10**12))

    def test_a_soundfont_without_midirenderer_says_what_to_install(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "midirenderer", None)
        font = tmp_path / "a.sf2"
        font.write_bytes(b"RIFF\0\0\0\0sfbk")
        with pytest.raises(AudioError, match="needs midirenderer; pip install midirenderer"):
            audio.render(piece([(0, 1, 0, 60, 90)]), soundfont=font)

    def test_without_any_soundfont_the_synthesiser_takes_over(self, monkeypatch):
        monkeypatch.setattr(audio.rendering, "default_soundfont", lambda: None)
        assert audio.renderer_name().startswith("the built-in synthesiser")
        assert np.abs(audio.render(piece([(0, 4, 0, 60, 90)]))).max() > 0.8


class TestWav:
    def test_round_trip(self, tmp_path):
        samples = np.array([[0, 1], [-1, 0.5], [2, -2]], np.float32)  # 2 and -2 are clipped
        audio.write_wav(samples, tmp_path / "a.wav")
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert file.getparams()[:4] == (2, 2, 48_000, 3)
            data = np.frombuffer(file.readframes(3), "<i2").reshape(-1, 2)
        assert data.tolist() == [[0, 32767], [-32767, 16384], [32767, -32767]]

    def test_many_blocks_come_back_whole(self, tmp_path):
        samples = np.random.default_rng(0).uniform(-1, 1, (200_000, 2)).astype(np.float32)
        audio.write_wav(samples, tmp_path / "a.wav")
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert file.getnframes() == 200_000
            data = np.frombuffer(file.readframes(200_000), "<i2").reshape(-1, 2)
        assert np.abs(data / 32767 - samples).max() <= 0.51 / 32767

    def test_no_samples_are_a_valid_file(self, tmp_path):
        audio.write_wav(np.zeros((0, 2), np.float32), tmp_path / "a.wav")
        with wave.open(str(tmp_path / "a.wav")) as file:
            assert file.getnframes() == 0

    def test_a_failure_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch):
        path = tmp_path / "a.wav"
        path.write_bytes(b"old")

        def broken(samples):
            raise OSError(28, "No space left on device")
            yield

        monkeypatch.setattr(audio.files, "blocks", broken)
        with pytest.raises(
            AudioError,
            match=r"cannot write .*a\.wav: No space left on device; free some space there, or choose another place",
        ):
            audio.write_wav(np.zeros((10, 2), np.float32), path)
        assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]
        assert path.read_bytes() == b"old"

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(AudioError, match="cannot write .*none.*No such file"):
            audio.write_wav(np.zeros((10, 2), np.float32), tmp_path / "none" / "a.wav")

    def test_another_shape_is_refused(self, tmp_path):
        with pytest.raises(AudioError, match=r"samples of shape \(5,\)"):
            audio.write_wav(np.zeros(5, np.float32), tmp_path / "a.wav")


class FakeDevice:
    """As miniaudio.PlaybackDevice: a thread asks the generator for frames, a hundred times faster than they sound."""

    buffersize_msec = 10
    frames_asked = 441
    backend = "Fake"
    latest = None
    stalls = False

    def __init__(self, **settings):
        self.settings, self.chunks, self.closed = settings, [], False
        FakeDevice.latest = self

    def start(self, generator):
        def work():
            while not self.closed and not self.stalls:
                try:
                    self.chunks.append(np.array(generator.send(self.frames_asked)))
                except StopIteration:
                    return
                time.sleep(1e-4)

        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()

    def close(self):
        self.closed = True


class FakeBackend(Enum):
    ALSA, CUSTOM, NULL = 1, 2, 3


@pytest.fixture
def miniaudio(monkeypatch):
    device = type("Device", (FakeDevice,), {})
    module = types.SimpleNamespace(
        PlaybackDevice=device,
        Backend=FakeBackend,
        SampleFormat=types.SimpleNamespace(FLOAT32="float32"),
        MiniaudioError=type("MiniaudioError", (Exception,), {}),
    )
    monkeypatch.setitem(sys.modules, "miniaudio", module)
    return module


class TestPlay:
    samples = np.random.default_rng(0).uniform(-1, 1, (RATE, 2)).astype(np.float32)

    def test_the_device_gets_every_sample_in_order(self, miniaudio):
        positions = []
        audio.play(self.samples, positions.append)
        device = FakeDevice.latest
        assert np.array_equal(np.concatenate(device.chunks), self.samples)
        assert device.closed
        assert device.settings["nchannels"] == 2 and device.settings["sample_rate"] == 48_000
        assert positions == sorted(positions) and positions[-1] == 1.0

    def test_nothing_to_play_returns(self, miniaudio):
        audio.play(self.samples[:0])
        assert FakeDevice.latest.closed

    def test_the_silent_backend_is_not_among_those_tried(self, miniaudio):
        audio.play(self.samples[:10])
        assert FakeDevice.latest.settings["backends"] == [FakeBackend.ALSA]

    def test_a_null_backend_is_no_device(self, miniaudio):
        miniaudio.PlaybackDevice.backend = "Null"
        with pytest.raises(AudioError, match="no sound device found .*Null backend.*files are still written"):
            audio.play(self.samples)
        assert FakeDevice.latest.closed

    def test_no_device_is_one_line(self, miniaudio):
        def fail(**settings):
            raise miniaudio.MiniaudioError("failed to init device", -401)

        miniaudio.PlaybackDevice = fail
        with pytest.raises(AudioError) as caught:
            audio.play(self.samples)
        assert str(caught.value) == (
            "no sound device found (failed to init device: -401); the files are still written; "
            "connect or unmute a device, or play the WAV file elsewhere"
        )

    def test_ctrl_c_closes_the_device(self, miniaudio):
        miniaudio.PlaybackDevice.frames_asked = 1

        def interrupt(position):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            audio.play(self.samples, interrupt)
        assert FakeDevice.latest.closed

    def test_a_device_that_stops_asking_is_reported(self, miniaudio, monkeypatch):
        monkeypatch.setattr(audio.speakers, "STALL_S", 0.15)
        miniaudio.PlaybackDevice.stalls = True
        with pytest.raises(AudioError, match="the sound device stopped after 0:00; is it still connected"):
            audio.play(self.samples)
        assert FakeDevice.latest.closed

    def test_without_miniaudio_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "miniaudio", None)
        with pytest.raises(AudioError, match="pip install miniaudio"):
            audio.play(self.samples)

    def test_another_shape_is_refused(self):
        with pytest.raises(AudioError, match=r"samples of shape \(10, 1\): expected \(n_samples, 2\)"):
            audio.play(np.zeros((10, 1), np.float32))


class FakePort:
    """Remembers what it is sent, and when; at message `fails_at` it raises `error` once."""

    def __init__(self, fails_at=None, error=KeyboardInterrupt):
        self.messages, self.times, self.fails_at, self.error = [], [], fails_at, error

    def send(self, message):
        if len(self.messages) == self.fails_at and self.error is not None:
            error, self.error = self.error, None
            raise error
        self.messages.append(message)
        self.times.append(time.perf_counter())

    def short(self):
        """Messages as tuples: p channel program, + channel pitch velocity, - channel pitch, c channel number."""
        kinds = {
            "program_change": lambda m: ("p", m.channel, m.program),
            "note_on": lambda m: ("+", m.channel, m.note, m.velocity),
            "note_off": lambda m: ("-", m.channel, m.note),
            "control_change": lambda m: ("c", m.channel, m.control),
        }
        return [kinds[m.type](m) for m in self.messages]

    def sounding(self):
        """Keys with more note-ons than note-offs at the end."""
        level = {}
        for message in self.messages:
            if message.type in ("note_on", "note_off"):
                key = message.channel, message.note
                level[key] = level.get(key, 0) + (1 if message.type == "note_on" else -1)
        return [key for key, count in level.items() if count > 0]


FAST = Grid.seconds(1000)


class FakeClock:
    """Time passes by 10 us for each look at it, and in sleep, which is 1 ms late."""

    def __init__(self):
        self.now = 0.0

    def pass_(self, seconds):
        self.now += seconds

    def perf_counter(self):
        self.now += 1e-5
        return self.now

    def sleep(self, seconds):
        self.now += seconds + 0.001


@pytest.fixture
def clock(monkeypatch):
    clock = FakeClock()
    monkeypatch.setattr(audio.ports, "time", clock)
    return clock


class TestSend:
    def test_messages_in_order(self):
        port = FakePort()
        audio.send(piece([(0, 10, 5, 60, 90), (10, 10, 5, 64, 80)], grid=FAST), port)
        assert port.short() == [
            ("p", 0, 5),
            ("+", 0, 60, 90),
            ("-", 0, 60),
            ("+", 0, 64, 80),
            ("-", 0, 64),
            ("c", 0, 123),
        ]

    def test_no_message_is_early_and_lateness_does_not_add_up(self, clock):
        port = FakePort()
        times = []
        port.send = lambda message: (times.append((clock.now, message.type)), clock.pass_(0.004))
        audio.send(piece([(10 * i, 5, 0, 60, 90) for i in range(50)], grid=FAST), port)
        lateness = np.array([time for time, kind in times if kind == "note_on"]) - 0.01 * np.arange(50)
        assert lateness.min() >= 0
        assert lateness[0] == pytest.approx(0.004, abs=1e-4)  # behind the program change
        assert lateness[3:].max() < 1e-4  # made good, though every send takes 4 ms and every sleep 1 ms more than asked

    def test_a_restruck_note_ends_before_it_begins_again(self):
        port = FakePort()
        # two programs, so that the file's order by track would put program 0's note-on before program 1's note-off
        audio.send(
            piece([(0, 10, 0, 60, 90), (0, 10, 1, 62, 90), (10, 10, 0, 60, 90), (10, 10, 1, 62, 90)], grid=FAST), port
        )
        notes = [m[:3] for m in port.short() if m[0] in "+-"]
        assert notes == [
            ("+", 0, 60), ("+", 1, 62), ("-", 0, 60), ("-", 1, 62),
            ("+", 0, 60), ("+", 1, 62), ("-", 0, 60), ("-", 1, 62),
        ]  # fmt: skip

    def test_drums_go_to_channel_10(self):
        port = FakePort()
        audio.send(piece([(0, 10, DRUMS, 38, 90)], grid=FAST), port)
        assert ("+", 9, 38, 90) in port.short()

    @pytest.mark.parametrize("n_programs", [15, 16, 20, 128])
    def test_every_note_sounds_with_its_program_however_many_there_are(self, n_programs):
        port = FakePort()
        rows = [(0, 10, p, 36 + p % 60, 90) for p in range(n_programs)]
        rows += [(10, 10, p, 36 + p % 60, 90) for p in range(n_programs)]
        audio.send(piece(rows, grid=FAST), port)
        current, sounded = {}, []
        for message in port.messages:
            if message.type == "program_change":
                current[message.channel] = message.program
            elif message.type == "note_on":
                sounded.append((current[message.channel], message.note))
        assert sorted(sounded) == sorted((program, pitch) for _, _, program, pitch, _ in rows)
        assert not port.sounding()

    def test_positions_are_reported_in_dense_music_too(self, clock):
        positions = []
        rows = [(10 * i, 10, 0, 60, 90) for i in range(35)]  # an event each 10 ms for 0.35 s
        audio.send(piece(rows, grid=FAST), FakePort(), on_position=positions.append)
        assert len(positions) == 4
        assert np.diff(positions) == pytest.approx(0.11, abs=0.01001)

    @pytest.mark.parametrize("fails_at", range(7))
    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, OSError, ValueError])
    def test_whatever_breaks_it_off_nothing_sounds_on(self, fails_at, error):
        port = FakePort(fails_at, error)
        rows = [(0, 500, 0, 60, 90), (0, 500, 0, 64, 90), (0, 5, 1, 67, 90), (5, 500, DRUMS, 38, 90)]
        with pytest.raises(error):
            audio.send(piece(rows, grid=FAST), port)
        assert not port.sounding()
        used = {message.channel for message in port.messages[: fails_at + 1]}
        for channel in used:
            assert ("c", channel, 123) in port.short() and ("c", channel, 120) in port.short()

    def test_a_note_interrupted_while_it_is_sent_gets_its_note_off(self):
        port = FakePort(1)  # the first note-on; it may have gone out
        with pytest.raises(KeyboardInterrupt):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), port)
        assert port.short() == [("p", 0, 0), ("-", 0, 60), ("c", 0, 123), ("c", 0, 120)]

    def test_a_port_that_is_gone_gives_its_own_error(self):
        class Gone:
            def send(self, message):
                raise OSError("unplugged")

        with pytest.raises(OSError, match="unplugged"):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), Gone())

    def test_an_error_in_on_position_silences_too(self):
        def broken(position):
            raise ValueError("terminal gone")

        port = FakePort()
        with pytest.raises(ValueError, match="terminal gone"):
            audio.send(piece([(0, 5, 0, 60, 90), (50, 5, 0, 60, 90)], grid=FAST), port, on_position=broken)
        assert not port.sounding()

    @pytest.mark.parametrize(
        ("number", "code"), [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, -signal.SIGINT)]
    )
    @pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
    def test_a_signal_silences_what_sounds(self, number, code):
        script = textwrap.dedent("""
            import numpy as np
            from melodygru.render import audio
            from melodygru.music.grid import Grid
            from melodygru.music.notes import NoteSequence, note_array

            class Port:
                def send(self, message):
                    print(message.type, getattr(message, "control", ""), flush=True)

            notes = note_array([(0, 60, 0, 60, 90)])
            audio.send(NoteSequence(notes, Grid.seconds(1), 60), Port())
        """)
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        lines = []
        while not lines or "note_on" not in lines[-1]:
            lines.append(process.stdout.readline())
            assert lines[-1], "it ended by itself"
        process.send_signal(number)
        rest = process.communicate(timeout=30)[0].split("\n")
        assert [line.strip() for line in rest if line] == ["note_off", "control_change 123", "control_change 120"]
        assert process.returncode == code

    def test_the_signal_handlers_come_back(self):
        before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
        audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), FakePort())
        with pytest.raises(KeyboardInterrupt):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), FakePort(1))
        assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before

    def test_it_works_outside_the_main_thread(self):
        port = FakePort()
        thread = threading.Thread(target=audio.send, args=(piece([(0, 5, 0, 60, 90)], grid=FAST), port))
        thread.start()
        thread.join(10)
        assert port.short()[-1] == ("c", 0, 123)


class OpenPort(FakePort):
    closed = False

    def close(self):
        self.closed = True


class TestPorts:
    @pytest.fixture
    def two_ports(self, monkeypatch):
        opened = {}
        monkeypatch.setattr(mido, "get_output_names", lambda: ["Synth A 14:0", "Synth B 15:0"])
        monkeypatch.setattr(mido, "open_output", lambda name: opened.setdefault(name, OpenPort()))
        return opened

    def test_names(self, two_ports):
        assert audio.list_ports() == ["Synth A 14:0", "Synth B 15:0"]

    @pytest.mark.parametrize("name", ["Synth B 15:0", "synth b"])
    def test_a_port_is_opened_by_name_or_by_a_part_that_fits_no_other(self, two_ports, name):
        audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), name)
        assert list(two_ports) == ["Synth B 15:0"]
        assert two_ports["Synth B 15:0"].closed
        assert ("+", 0, 60, 90) in two_ports["Synth B 15:0"].short()

    def test_an_unknown_port_lists_the_known(self, two_ports):
        with pytest.raises(AudioError) as caught:
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), "Organ")
        assert str(caught.value) == "MIDI port 'Organ': not found; known: 'Synth A 14:0', 'Synth B 15:0'"

    def test_an_ambiguous_part_is_refused(self, two_ports):
        with pytest.raises(AudioError, match="MIDI port 'Synth': more than one fits; known: 'Synth A"):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), "Synth")

    def test_no_ports_at_all(self, monkeypatch):
        monkeypatch.setattr(mido, "get_output_names", list)
        with pytest.raises(AudioError, match="known: none; start a synthesiser first"):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), "Organ")

    def test_a_port_that_another_program_holds(self, two_ports, monkeypatch):
        def busy(name):
            raise OSError("device busy")

        monkeypatch.setattr(mido, "open_output", busy)
        with pytest.raises(AudioError, match="MIDI port 'Synth A 14:0': device busy; another program may hold it"):
            audio.send(piece([(0, 5, 0, 60, 90)], grid=FAST), "Synth A")

    def test_without_rtmidi_it_says_what_to_install(self, monkeypatch):
        def missing():
            raise ModuleNotFoundError("No module named 'rtmidi'")

        monkeypatch.setattr(mido, "get_output_names", missing)
        with pytest.raises(AudioError, match=r"pip install 'melodygru\[midi-ports\]'"):
            audio.list_ports()

    def test_without_a_sequencer_it_says_so(self, monkeypatch):
        def none():
            raise OSError("error creating ALSA sequencer client object.")

        monkeypatch.setattr(mido, "get_output_names", none)
        with pytest.raises(AudioError, match="no MIDI ports: error creating ALSA sequencer"):
            audio.list_ports()


class TestPositionLine:
    def test_in_the_middle(self):
        assert audio.position_line(12.9, 63, 30) == " 0:12 / 1:03 [===>           ]"

    def test_both_ends_and_one_past_each(self):
        assert audio.position_line(0, 63, 30) == " 0:00 / 1:03 [>              ]"
        assert audio.position_line(63, 63, 30) == " 1:03 / 1:03 [===============]"
        assert audio.position_line(-1, 63, 30) == audio.position_line(0, 63, 30)
        assert audio.position_line(64, 63, 30) == audio.position_line(63, 63, 30)

    def test_an_hour_keeps_its_columns(self):
        assert audio.position_line(59, 3723, 30) == "    0:59 / 1:02:03 [>        ]"

    @pytest.mark.parametrize("width", range(0, 120, 7))
    def test_the_width_is_exact(self, width):
        assert len(audio.position_line(30, 63, width)) == width

    def test_a_piece_of_no_length_is_done(self):
        assert audio.position_line(0, 0, 30).endswith("[===============]")
