"""A piece made audible and visible: sound, pictures, sheet music, a terminal's characters, pages."""
