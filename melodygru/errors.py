"""The exception family: everything melodygru raises on purpose.

A message says what was received, what was expected and what to do next. The command line prints it as one
line and exits with `exit_code`.
"""


class MelodyGruError(Exception):
    """Base of every error that a user can cause or mend."""

    exit_code = 1


class MidiError(MelodyGruError):
    """A MIDI file cannot be read or written."""


class NoteError(MelodyGruError):
    """A note or a note sequence breaks a rule of `music.notes` (range, order, grid)."""


class CorpusError(MelodyGruError):
    """A folder holds too little music to work with, or its cache cannot be used."""


class CheckpointError(MelodyGruError):
    """A checkpoint is missing, damaged, or of another kind."""


class SettingError(MelodyGruError):
    """An option's value is outside its range, or options contradict each other."""


class AudioError(MelodyGruError):
    """No sound: a missing device, port, SoundFont or renderer."""


class ProvenanceError(MelodyGruError):
    """A file doesn't say how it was made, or says what can't be done here, so that it can't be made again."""


class TrainingError(MelodyGruError):
    """A training run cannot start or go on."""
