"""Composing: settings, the sampler and what steers it, whole pieces, music without an end, and how each was made."""

from melodygru.util.lazy import offered

# Loaded when first asked for: the command line needs the settings alone to show its help.
__getattr__, __dir__ = offered(
    __name__,
    {
        "composing": ("MAX_NOTES", "compose", "first_step", "notes"),
        "constraints": (
            "CHORD_BIAS",
            "Chords",
            "Constraint",
            "Density",
            "MaxPolyphony",
            "Moment",
            "PitchClasses",
            "Programs",
            "Range",
            "of_settings",
        ),
        "controls": ("Controls", "Filter", "keep_min_p", "keep_top_k", "keep_top_p", "to_weights"),
        "actions": ("Action",),
        "guards": ("Guard",),
        "lengths": ("Length", "Plan"),
        "drawing": ("Note",),
        "particles": ("Particles",),
        "primer": ("Primer",),
        "redo_settings": ("RedoSettings",),
        "rules": ("END_DECAY", "NEVER", "PLAUSIBLE", "Event", "Rule"),
        "sampler": ("Sampler",),
        "steering": ("Steering",),
    },
)
