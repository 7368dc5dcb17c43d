"""Music as it is composed: the score between two threads, ports, speakers, keys."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
from enum import Enum
from pathlib import Path

import mido
import numpy as np
import pytest

from melodygru.cli import endless, keyboard
from melodygru.compose.composer import Composer
from melodygru.compose.settings import GenerateSettings
from melodygru.errors import AudioError, SettingError
from melodygru.music.notes import DRUMS
from melodygru.render import audio
from melodygru.render.audio import LiveNote, LivePort, LiveSpeakers, NoteQueue, Stopped, live_speakers, ports

ROOT = Path(__file__).resolve().parents[2]


def note(onset_s, duration_s=0.05, pitch=60, program=0, velocity=90, part=0):
    return LiveNote(onset_s, duration_s, program, pitch, velocity, part)


class Port:
    """Remembers messages and when they came."""

    def __init__(self):
        self.messages, self.times = [], []

    def send(self, message):
        self.messages.append(message)
        self.times.append(time.perf_counter())

    def short(self):
        kinds = {
            "program_change": lambda m: f"p{m.channel} {m.program}",
            "note_on": lambda m: f"+{m.channel} {m.note}",
            "note_off": lambda m: f"-{m.channel} {m.note}",
            "control_change": lambda m: f"c{m.channel} {m.control}",
        }
        return [kinds[m.type](m) for m in self.messages]


def until(true, seconds=5.0):
    """Wait until a condition holds; it must within the time."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.002)


class TestNoteQueue:
    def test_notes_come_out_in_order_up_to_a_second_and_no_further(self):
        queue = NoteQueue()
        for onset in (0.0, 1.0, 2.0):
            queue.add(note(onset))
        assert [n.onset_s for n in queue.take(2.0)] == [0.0, 1.0]
        assert queue.next().onset_s == 2.0
        assert [n.onset_s for n in queue.take(most=0)] == []
        assert queue.frontier_s == 2.0
        assert queue.wait(2.0) and not queue.wait(2.001)
        queue.finish(3.0)
        assert queue.wait(1e9) and queue.end_s == 3.0

    def test_who_composes_waits_for_who_plays(self):
        queue = NoteQueue(ahead_s=1.0)
        queue.add(note(1.0))  # as far ahead as it may be
        thread = threading.Thread(target=queue.add, args=(note(1.001),), daemon=True)
        thread.start()
        thread.join(0.08)
        assert thread.is_alive()
        queue.played_s = 0.001
        thread.join(5)
        assert not thread.is_alive() and queue.frontier_s == 1.001

    def test_adding_to_a_stopped_score_says_so(self):
        queue = NoteQueue()
        queue.add(note(0.0))
        queue.stop()
        assert queue.take() == []
        with pytest.raises(Stopped):
            queue.add(note(0.0))


class TestLivePort:
    def play(self, notes, end_s, **options):
        port = Port()
        with LivePort(port, **options) as player:
            for each in notes:
                player.notes.add(each)
            player.notes.finish(end_s)
            player.wait()
        return port, player

    def test_messages_in_order_and_in_time(self):
        due = []
        port, player = self.play(
            [note(0.0), note(0.05, pitch=64), note(0.05, pitch=38, program=DRUMS)], 0.1, on_due=due.append
        )
        assert port.short() == [
            "p0 0", "+0 60", "-0 60", "+0 64", "+9 38", "-0 64", "-9 38", "c0 123", "c9 123",
        ]  # fmt: skip
        assert np.diff(due) == pytest.approx([0.05, 0, 0, 0.05, 0], abs=1e-9)
        sent = [at for at, text in zip(port.times, port.short(), strict=True) if text[0] in "+-"]
        assert (np.array(sent) - due).min() >= 0  # none is early
        assert player.underruns == 0

    def test_a_restruck_note_ends_first_and_its_old_end_is_forgotten(self):
        port, _ = self.play([note(0.0, 0.06), note(0.03, 0.06)], 0.1)
        assert port.short() == ["p0 0", "+0 60", "-0 60", "+0 60", "-0 60", "c0 123"]

    def test_a_sixteenth_program_shares_a_channel(self):
        port, _ = self.play([note(0.0, 0.01, program=p) for p in range(16)], 0.02)
        current, heard = {}, []
        for message in port.messages:
            if message.type == "program_change":
                current[message.channel] = message.program
            elif message.type == "note_on":
                heard.append(current[message.channel])
        assert heard == list(range(16)) and 9 not in current

    def test_two_parts_of_one_program_have_two_channels(self):
        port, _ = self.play(
            [note(0.0, 0.05, part=1), note(0.01, 0.02, part=0), note(0.02, 0.02, part=1, pitch=64)], 0.1
        )
        assert port.short()[:5] == ["p0 0", "+0 60", "p1 0", "+1 60", "+0 64"]

    def test_it_sounds_before_the_rest_is_composed(self):
        port = Port()
        with LivePort(port) as player:
            player.notes.add(note(0.0))
            until(lambda: "+0 60" in port.short())
            player.notes.add(note(0.2, pitch=62))
            player.notes.finish(0.25)
            player.wait()
        assert port.short()[-2:] == ["-0 62", "c0 123"]

    def test_late_notes_stop_the_clock_and_are_counted(self):
        port = Port()
        with LivePort(port) as player:
            player.notes.add(note(0.0, 0.02))
            until(lambda: player.underruns == 1)
            time.sleep(0.1)
            player.notes.add(note(0.05, 0.02, pitch=62))
            player.notes.finish(0.1)
            player.wait()
        assert player.underruns == 1
        assert port.short() == ["p0 0", "+0 60", "-0 60", "+0 62", "-0 62", "c0 123"]

    def test_the_rest_before_the_first_note_is_not_waited_for(self):
        started = time.perf_counter()
        port, player = self.play([note(30.0)], 30.1)
        assert port.short() == ["p0 0", "+0 60", "-0 60", "c0 123"]
        assert time.perf_counter() - started < 5

    def test_a_rest_longer_than_what_is_composed_ahead_ends(self):
        port, player = self.play([note(0.0), note(0.4, pitch=62), note(0.8, pitch=64)], 0.9, ahead_s=0.1)
        assert port.short()[-3:] == ["+0 64", "-0 64", "c0 123"]
        assert player.underruns == 0

    def test_twice_the_speed_takes_half_the_time(self):
        port = Port()
        player = LivePort(port)
        player.speed = 2.0
        with player:
            for i in range(5):
                player.notes.add(note(0.1 * i))
            player.notes.finish(0.45)
            player.wait()
        on = [at for at, text in zip(port.times, port.short(), strict=True) if text[0] == "+"]
        assert on[-1] - on[0] == pytest.approx(0.2, abs=0.04)

    def test_a_pause_silences_and_goes_on_at_the_same_place(self):
        port = Port()
        with LivePort(port) as player:
            player.notes.add(note(0.0, 5.0))
            player.notes.add(note(0.2, 0.05, pitch=62))
            player.notes.finish(0.3)
            until(lambda: "+0 60" in port.short())
            player.paused = True
            until(lambda: "c0 120" in port.short())
            time.sleep(0.3)
            assert "+0 62" not in port.short()
            player.paused = False
            player.wait()
        assert port.short() == ["p0 0", "+0 60", "-0 60", "c0 123", "c0 120", "+0 62", "-0 62", "c0 123"]

    @pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
    def test_whatever_ends_it_nothing_sounds_on(self, error):
        port = Port()
        with pytest.raises(error), LivePort(port) as player:
            player.notes.add(note(0.0, 60))
            player.notes.add(note(0.0, 60, pitch=64))
            until(lambda: "+0 64" in port.short())
            raise error
        assert sorted(port.short()[3:5]) == ["-0 60", "-0 64"]
        assert port.short()[5:] == ["c0 123", "c0 120"]

    def test_a_port_that_fails_is_the_error_of_who_waits(self):
        class Gone:
            def send(self, message):
                raise OSError("unplugged")

        with pytest.raises(OSError, match="unplugged"), LivePort(Gone()) as player:
            player.notes.add(note(0.0))
            player.wait()

    def test_threads_take_turns_as_before_afterwards(self):
        before = sys.getswitchinterval()
        self.play([note(0.0, 0.01)], 0.01)
        assert sys.getswitchinterval() == before

    @pytest.mark.skipif(os.name == "nt", reason="Windows ends a process without telling it")
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", 1)])
    def test_signals_silence_what_sounds(self, number):
        script = textwrap.dedent("""
            import signal
            signal.signal(signal.SIGINT, signal.default_int_handler)
            from melodygru.render.audio import LiveNote, LivePort

            class Port:
                def send(self, message):
                    print(message.type, getattr(message, "control", ""), flush=True)

            with LivePort(Port()) as player:
                player.notes.add(LiveNote(0.0, 60.0, 0, 60, 90))
                player.notes.finish(60.0)
                player.wait()
        """)
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        lines = []
        while not lines or "note_on" not in lines[-1]:
            lines.append(process.stdout.readline())
        process.send_signal(number)
        rest = process.communicate(timeout=30)[0].split("\n")
        assert [line.strip() for line in rest if line] == ["note_off", "control_change 123", "control_change 120"]
        assert process.returncode == (-number if number == signal.SIGINT else 128 + number)


class Losing(Port):
    """A port that is lost when it is to send its n-th message."""

    def __init__(self, n):
        super().__init__()
        self.n, self.closed = n, False

    def send(self, message):
        if len(self.messages) == self.n:
            raise OSError("unplugged")
        super().send(message)

    def close(self):
        self.closed = True


class TestReconnecting:
    @pytest.fixture
    def opened(self, monkeypatch):
        given = [Losing(2), Losing(999)]
        missing = [OSError("not there")]

        def open_port(name):
            if len(given) == 1 and missing:
                raise missing.pop()
            return given.pop(0)

        all_ports = list(given)
        monkeypatch.setattr(ports, "open_port", open_port)
        monkeypatch.setattr(ports, "_RETRY_S", 0.01)
        return all_ports

    def test_a_lost_port_is_opened_again_silenced_and_given_its_programs(self, opened):
        said = []
        with LivePort("Synth", on_change=said.append) as player:
            player.notes.add(note(0.0, 0.05, program=5))
            player.notes.add(note(0.1, 0.05, pitch=62, program=5))
            player.notes.finish(0.2)
            player.wait()
        first, second = opened
        assert first.short() == ["p0 5", "+0 60"] and first.closed
        silenced = [f"c{channel} {control}" for channel in range(16) for control in (123, 120)]
        assert second.short() == [*silenced, "p0 5", "+0 62", "-0 62", "c0 123"] and second.closed
        assert said == ["MIDI port Synth is lost (unplugged); waiting for it", "MIDI port Synth is back"]

    def test_a_port_that_stays_away_is_given_up(self, opened, monkeypatch):
        port = ports.Reconnecting("Synth")
        monkeypatch.setattr(ports, "_GIVE_UP_S", 0.0)
        port.send(mido.Message("note_on", note=60))
        port.send(mido.Message("note_on", note=62))
        with pytest.raises(AudioError, match=r"MIDI port 'Synth': lost \(unplugged\), and not back after 0 s"):
            port.send(mido.Message("note_on", note=64))

    def test_time_without_the_port_is_no_time_of_the_music(self, opened):
        port = ports.Reconnecting("Synth")
        for pitch in (60, 62, 64):
            port.send(mido.Message("note_on", note=pitch))
        assert 0.01 <= port.lost_s < 5


class Backend(Enum):
    ALSA, CUSTOM, NULL = 1, 2, 3


class Device:
    """As miniaudio.PlaybackDevice; a thread takes 10 ms of samples every 2 ms."""

    backend, buffersize_msec, latest = "Fake", 10, None

    def __init__(self, **settings):
        self.settings, self.chunks, self.closed = settings, [], False
        Device.latest = self

    def start(self, generator):
        def work():
            while not self.closed:
                try:
                    self.chunks.append(np.array(generator.send(480)))
                except StopIteration:
                    return
                time.sleep(0.002)

        threading.Thread(target=work, daemon=True).start()

    def close(self):
        self.closed = True

    def heard(self):
        return np.concatenate(self.chunks) if self.chunks else np.zeros((0, 2))


@pytest.fixture(params=["midirenderer", "built-in"])
def speakers(request, monkeypatch):
    module = types.SimpleNamespace(
        PlaybackDevice=Device,
        Backend=Backend,
        SampleFormat=types.SimpleNamespace(FLOAT32="float32"),
        MiniaudioError=type("MiniaudioError", (Exception,), {}),
    )
    monkeypatch.setitem(sys.modules, "miniaudio", module)
    if request.param == "midirenderer":
        pytest.importorskip("midirenderer")
    else:
        monkeypatch.setitem(sys.modules, "midirenderer", None)


@pytest.mark.usefixtures("speakers")
class TestLiveSpeakers:
    def test_notes_sound_at_their_pitch_and_the_tail_is_kept(self):
        with LiveSpeakers() as player:
            player.notes.add(note(0.0, 1.0, pitch=69))
            player.notes.add(note(1.0, 0.5, pitch=81))
            player.notes.finish(1.5)
            player.wait()
        heard = Device.latest.heard()
        start = int(np.flatnonzero(np.abs(heard).max(1) > 0.01)[0])
        for at, expected in ((0.3, 440), (1.1, 880)):
            part = heard[start + int(at * 48_000) :][:19_200].sum(1)
            spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part))))
            assert np.argmax(spectrum) * 48_000 / len(part) == pytest.approx(expected, abs=6)
        assert np.abs(heard).max() <= live_speakers.PEAK + 1e-6
        assert np.abs(heard[-480:]).max() < 1e-3  # it has died away
        assert Device.latest.closed and player.underruns == 0
        assert Device.latest.settings["backends"] == [Backend.ALSA]

    def test_loud_music_after_soft_is_made_quieter_instead_of_clipped(self):
        with LiveSpeakers() as player:
            player.notes.add(note(0.0, 0.2, velocity=10))
            for pitch in range(36, 84, 4):
                player.notes.add(note(0.4, 0.5, pitch=pitch, velocity=127))
            player.notes.finish(1.0)
            player.wait()
        heard = np.abs(Device.latest.heard())
        assert 0.3 < heard.max() <= live_speakers.PEAK + 1e-6
        assert (heard >= live_speakers.PEAK).mean() < 0.001

    def test_it_sounds_before_the_rest_is_composed_and_missing_notes_are_counted(self):
        with LiveSpeakers() as player:
            player.notes.add(note(0.0, 0.3))
            player.notes.add(note(0.4, 0.1))
            until(lambda: np.abs(Device.latest.heard()).max(initial=0) > 0.01)
            until(lambda: player.underruns == 1)
            player.notes.finish(0.5)
            player.wait()

    def test_a_pause_is_silence_at_once(self):
        with LiveSpeakers() as player:
            for i in range(20):
                player.notes.add(note(0.5 * i, 0.5))
            player.notes.finish(10.0)
            until(lambda: np.abs(Device.latest.heard()).max(initial=0) > 0.01)
            player.paused = True
            time.sleep(0.03)
            n = len(Device.latest.chunks)
            until(lambda: len(Device.latest.chunks) > n + 5)
            assert not np.concatenate(Device.latest.chunks[n + 1 :]).any()
            player.stop()
        assert Device.latest.closed

    def test_a_device_that_stops_asking_is_reported(self, monkeypatch):
        monkeypatch.setattr(Device, "start", lambda self, generator: None)
        monkeypatch.setattr(audio.speakers, "STALL_S", 0.1)
        with pytest.raises(AudioError, match="the sound device stopped after 0:00; is it still connected"):
            with LiveSpeakers() as player:
                for i in range(10):
                    player.notes.add(note(0.5 * i, 0.5))
                player.notes.finish(5.0)
                player.wait()

    def test_a_null_backend_is_no_device(self, monkeypatch):
        monkeypatch.setattr(Device, "backend", "Null")
        with pytest.raises(AudioError, match="no sound device found .*Null backend"), LiveSpeakers():
            pytest.fail("opened")


def stream(**settings):
    return Composer.load(ROOT / "checkpoints" / "starter.keras").stream(GenerateSettings(seed=1, top_p=0.9, **settings))


class TestKeys:
    @pytest.fixture
    def both(self):
        return stream(), types.SimpleNamespace(speed=1.0, paused=False, position_s=61.0, underruns=0)

    def test_temperature_stops_at_its_limits(self, both):
        composing, player = both
        endless.press("+", *both)
        assert composing.temperature == 1.05
        for _ in range(100):
            endless.press("-", *both)
        assert composing.temperature == 0.05
        for _ in range(100):
            endless.press("=", *both)
        assert composing.temperature == 3.0

    def test_style_goes_round(self, both):
        composing, _ = both
        seen = []
        for _ in composing.styles:
            endless.press("s", *both)
            seen.append(composing.style)
        assert seen == [*composing.styles[1:], None]

    def test_tempo_doubles_in_twelve_and_stops_at_its_limits(self, both):
        _, player = both
        for _ in range(12):
            endless.press("]", *both)
        assert player.speed == pytest.approx(2.0)
        for _ in range(100):
            endless.press("[", *both)
        assert player.speed == audio.SPEEDS[0]

    def test_space_pauses_and_q_ends(self, both):
        _, player = both
        assert endless.press(" ", *both) and player.paused
        assert endless.press(" ", *both) and not player.paused
        assert endless.press("x", *both)
        assert not endless.press("q", *both)

    def test_the_status_line(self, both):
        assert endless.status(*both) == " 1:01  temperature 1.00  style any  tempo 100%"
        both[1].underruns, both[1].paused = 2, True
        assert endless.status(*both).endswith("tempo 100%  late 2x  paused")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
class TestTerminal:
    @pytest.fixture
    def terminal(self, monkeypatch):
        import pty

        master, slave = pty.openpty()
        with os.fdopen(slave, "r") as stream:
            monkeypatch.setattr(sys, "stdin", stream)
            yield master, slave
        os.close(master)

    def test_keys_come_without_enter_and_the_terminal_is_as_before(self, terminal):
        import termios

        master, slave = terminal
        before = termios.tcgetattr(slave)
        with pytest.raises(ValueError, match="stop"), keyboard.keys() as read:
            assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO)
            assert termios.tcgetattr(slave)[3] & termios.ISIG  # Ctrl-C stays a signal
            assert read() == ""
            for typed, key in ((b"+", "+"), (b" ", " "), (b"\x1b[A", "")):
                os.write(master, typed)
                time.sleep(0.01)
                assert read() == key
            raise ValueError("stop")
        assert termios.tcgetattr(slave) == before

    def test_keys_steer_the_music_and_q_ends_it(self, terminal, capsys):
        master, _ = terminal
        port, composing = Port(), stream()
        player = LivePort(port, endless.AHEAD_S)
        threading.Timer(0.6, lambda: os.write(master, b"+")).start()
        threading.Timer(1.0, lambda: os.write(master, b"q")).start()
        endless.run(composing, player)
        assert composing.temperature == 1.05
        level = {}
        for text in port.short():
            if text[0] in "+-":
                level[text[1:]] = level.get(text[1:], 0) + (1 if text[0] == "+" else -1)
        assert level and not any(level.values())
        assert port.short()[-1].endswith(" 120")
        assert endless.KEYS in capsys.readouterr().err


def test_without_a_terminal_keys_are_off_and_the_music_ends_by_itself(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: False))
    port = Port()
    endless.run(stream(qpm=240), LivePort(port, endless.AHEAD_S), seconds=0.6)
    assert capsys.readouterr().err == "keys are off: stdin is no terminal; Ctrl-C stops\n"
    assert any(text[0] == "+" for text in port.short())
    assert port.short()[-1].endswith(" 123")


def test_an_error_while_composing_is_the_error_of_the_command(monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(isatty=lambda: False))

    def broken():
        yield note(0.0)
        raise SettingError("out of ideas")

    composing = stream()
    composing._notes = broken()
    with pytest.raises(SettingError, match="out of ideas"):
        endless.run(composing, LivePort(Port()))


class TestGenerate:
    """`generate --play` and `--port`: what sounds is what is written."""

    @pytest.fixture
    def port(self, monkeypatch):
        port = Losing(10**9)
        monkeypatch.setattr(ports, "open_port", lambda name: port)
        return port

    def run(self, *arguments):
        from click.testing import CliRunner

        from melodygru.cli import main

        result = CliRunner().invoke(main, ["generate", *map(str, arguments)], prog_name="melodygru")
        assert result.exit_code == 0, result.output
        return result

    def test_the_port_gets_the_notes_of_every_piece_primer_included(self, port, tmp_path):
        from melodygru import midi

        self.run("--notes", 8, "--seed", 3, "--qpm", 900, "-o", tmp_path / "a")
        primer = tmp_path / "a" / "starter-3-1.mid"
        options = ["--primer", primer, "--notes", 8, "--seed", 1, "-n", 2, "-o", tmp_path / "b", "--port", "x"]
        result = self.run(*options)
        written = []
        for index in (1, 2):
            written += midi.read(tmp_path / "b" / f"starter-1-{index}.mid").sequence.notes["pitch"].tolist()
        sent = [m.note for m in port.messages if m.type == "note_on"]
        assert sorted(sent) == sorted(written)
        assert "sending to x: starter-1-1.mid; Ctrl-C stops\nsending to x: starter-1-2.mid" in result.stderr

    def test_it_sounds_while_the_rest_is_composed(self, port, tmp_path, monkeypatch):
        from melodygru import compose
        from melodygru.compose.guards import LOOKAHEAD

        composed = compose.Sampler.step
        certain = LOOKAHEAD + 8  # the guard keeps the last notes back
        seen = []

        def slow(self, may_end=True):
            if any(m.type == "note_on" for m in port.messages):
                seen.append(len(self.rows[0]))
            elif len(self.rows[0]) == certain:
                until(lambda: any(m.type == "note_on" for m in port.messages))
            return composed(self, may_end)

        monkeypatch.setattr(compose.Sampler, "step", slow)
        self.run("--notes", certain + 4, "--seed", 3, "--qpm", 900, "--port", "x", "-o", tmp_path)
        assert seen  # notes were composed after the first one had sounded

    def test_playing_changes_no_byte(self, port, tmp_path):
        self.run("--notes", 8, "--seed", 3, "--qpm", 900, "-o", tmp_path / "a")
        self.run("--notes", 8, "--seed", 3, "--qpm", 900, "-o", tmp_path / "b", "--port", "x")
        one, two = ((tmp_path / name / "starter-3-1.mid").read_bytes() for name in "ab")
        assert one == two

    def test_flac_and_wav_hold_the_same(self, tmp_path):
        soundfile = pytest.importorskip("soundfile")
        self.run("--notes", 8, "--seed", 3, "--qpm", 900, "--wav", "--flac", "-o", tmp_path)
        wav, _ = soundfile.read(tmp_path / "starter-3-1.wav", dtype="int16")
        flac, _ = soundfile.read(tmp_path / "starter-3-1.flac", dtype="int16")
        assert np.array_equal(wav, flac) and np.abs(wav).max() > 10_000


class TestFlac:
    samples = np.array([[0, 1], [-1, 0.5], [2, -2]], np.float32)  # 2 and -2 are clipped

    @pytest.fixture(autouse=True)
    def soundfile(self):
        return pytest.importorskip("soundfile")

    @pytest.mark.parametrize(("bits", "top"), [(16, 32_767), (24, 8_388_607)])
    def test_round_trip(self, tmp_path, soundfile, bits, top):
        audio.write_flac(self.samples, tmp_path / "a.flac", bits=bits)
        data, rate = soundfile.read(tmp_path / "a.flac", dtype="int32")
        assert rate == 48_000 and soundfile.info(tmp_path / "a.flac").subtype == f"PCM_{bits}"
        half = round(top / 2 + 0.1)
        assert (data >> (32 - bits)).tolist() == [[0, top], [-top, half], [top, -top]]

    @pytest.mark.parametrize("bits", [15, 17, 32])
    def test_other_bits_are_refused(self, tmp_path, bits):
        with pytest.raises(AudioError, match=f"{bits} bits a sample: expected 16 or 24"):
            audio.write_flac(self.samples, tmp_path / "a.flac", bits=bits)

    def test_another_shape_is_refused(self, tmp_path):
        with pytest.raises(AudioError, match=r"samples of shape \(3,\)"):
            audio.write_flac(self.samples[:, 0], tmp_path / "a.flac")

    def test_without_soundfile_it_says_what_to_install(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "soundfile", None)
        with pytest.raises(AudioError, match="pip install soundfile, or write a WAV file"):
            audio.write_flac(self.samples, tmp_path / "a.flac")
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["song.mid", "--endless"], "a FILE and --endless: expected one of the two."),
        (["--endless", "--wav", "x.wav"], "--wav goes with a FILE, not with --endless."),
        (["song.mid", "--temperature", "1"], "--temperature goes with --endless."),
        ([], "Missing argument 'FILE': a MIDI file (or --list-ports, or --endless)."),
    ],
)
def test_options_that_do_not_go_together(options, line):
    from click.testing import CliRunner

    from melodygru.cli import main

    result = CliRunner().invoke(main, ["play", *options], prog_name="melodygru")
    assert result.exit_code == 2 and line in result.stderr
