"""The studio: a page in the browser on which pieces are heard, seen, edited, composed again and models trained.

A server for one person on their own machine. A **project** is a folder: each piece in it is a MIDI file, with the steps
of its history beside it. What composes, measures and renders is the rest of the package; the page shows what the server
says of it.
"""
