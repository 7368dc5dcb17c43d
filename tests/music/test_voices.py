"""Which melodic line each note belongs to."""

from melodygru.music.grid import Grid
from melodygru.music.notes import DRUMS, NoteSequence, canonical, note_array
from melodygru.music.voices import voices


def piece(rows, grid=None, parts=None, names=()):
    """Rows of (onset, duration, program, pitch, velocity), 4 steps a beat unless another grid is given."""
    notes, _ = canonical(note_array(rows, parts))
    end = int((notes["onset"] + notes["duration"]).max(initial=0))
    return NoteSequence(notes, grid or Grid.beats(4), end, names=names)


class TestVoices:
    def of(self, rows, **options):
        voice, names = voices(piece(rows, **options))
        return voice.tolist(), names

    def test_parts_are_voices_by_their_names(self):
        rows = [(0, 4, 40, 60, 90), (0, 4, 40, 64, 90), (4, 4, 40, 67, 90), (4, 4, DRUMS, 36, 90)]
        found = self.of(rows, parts=[0, 0, 1, 2], names=("first", "", "kit"))
        assert found == ([0, 0, 1, 2], ["first", "Violin", "kit"])

    def test_programs_are_voices(self):
        found = self.of([(0, 4, 40, 60, 90), (0, 4, 0, 60, 90), (4, 4, DRUMS, 36, 90)])
        assert found == ([0, 1, 2], ["Acoustic Grand Piano", "Violin", "Drums"])

    def test_a_melody_is_one_voice_though_its_notes_overlap_a_little(self):
        rows = [(0, 482, 0, 60, 90), (480, 482, 0, 67, 90), (960, 480, 0, 64, 90)]
        assert self.of(rows, grid=Grid.beats(480)) == ([0, 0, 0], ["Acoustic Grand Piano"])

    def test_lines_of_one_program_are_followed_from_the_highest(self):
        rows = [(0, 4, 0, 72, 90), (0, 4, 0, 60, 90), (4, 4, 0, 74, 90), (4, 4, 0, 59, 90)]
        assert self.of(rows) == ([1, 0, 1, 0], ["voice 1", "voice 2"])  # in canonical order: the lower pitch first

    def test_where_a_line_rests_the_others_stay_what_they_are(self):
        rows = [(0, 4, 0, 72, 90), (0, 4, 0, 60, 90), (4, 4, 0, 62, 90), (8, 4, 0, 71, 90)]
        assert self.of(rows)[0] == [1, 0, 1, 0]

    def test_what_begins_over_a_held_note_does_not_cross_it(self):
        rows = [(0, 4, 0, 72, 90), (0, 12, 0, 64, 90), (4, 4, 0, 67, 90), (8, 4, 0, 70, 90)]
        assert self.of(rows)[0] == [1, 0, 0, 0]

    def test_where_more_than_six_sound_or_there_is_no_beat_there_are_no_lines(self):
        six, seven = ([(0, 4, 0, 40 + 3 * i, 90) for i in range(n)] for n in (6, 7))
        assert self.of(six)[0] == [5, 4, 3, 2, 1, 0]
        assert self.of(seven) == ([0] * 7, ["Acoustic Grand Piano"])
        assert self.of(six, grid=Grid.seconds(100))[1] == ["Acoustic Grand Piano"]

    def test_drums_are_one_voice_and_no_notes_none(self):
        assert self.of([(0, 4, DRUMS, 36, 90), (0, 4, DRUMS, 42, 90)]) == ([0, 0], ["Drums"])
        assert self.of([]) == ([], [])
