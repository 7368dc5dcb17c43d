"""Bring and take: MIDI files are dropped anywhere on the page; pieces, parts and selections leave it as files."""

import base64
import io
import urllib.request
import zipfile

import pretty_midi
import pytest
from pages import says, select, state, until, write_tune

DROP = """async ([name, content]) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, {type: "audio/midi"}));
    const target = document.querySelector("#roll");
    for (const kind of ["dragenter", "dragover", "drop"])
        target.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true, cancelable: true}));
}"""
NOTE_DRAGS = """() => {
    window.carried = null;
    window.addEventListener("dragstart", (event) => (window.carried = event.dataTransfer.getData("DownloadURL")));
}"""


def drop(page, path):
    page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])


def dragged(page, what):
    """Drag an element with the mouse; (name, notes of the MIDI file) that would arrive elsewhere."""
    page.evaluate(NOTE_DRAGS)
    for _ in range(2):  # a busy browser may still be at the end of the drag before
        box = what.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2 - 60, box["y"] + 90, steps=6)
        for _ in range(10):
            page.wait_for_timeout(100)
            carried = page.evaluate("window.carried")
            if carried:
                break
        if carried:
            page.keyboard.press("Escape")  # without a drag it would be the page's, which then selects nothing
        page.mouse.up()
        if carried:
            break
        page.wait_for_timeout(1000)
    if not carried:  # a starved browser begins no drag by the mouse
        what.dispatch_event("dragstart", {"dataTransfer": page.evaluate_handle("new DataTransfer()")})
        carried = page.evaluate("window.carried")
    assert carried, "the drag carries nothing"
    kind, name, url = carried.split(":", 2)
    assert kind == "audio/midi"
    with urllib.request.urlopen(url) as answer:
        return name, notes_of(answer.read())


def notes_of(content):
    """(name of the part, pitch, start in seconds) of a MIDI file's notes."""
    piece = pretty_midi.PrettyMIDI(io.BytesIO(content))
    return [(part.name, note.pitch, round(note.start, 3)) for part in piece.instruments for note in part.notes]


def saved(page, what, format):
    """Take something out by the button; (name, bytes) of the file."""
    page.locator("#take-what").select_option(label=what)
    page.locator("#take-as").select_option(format)
    with page.expect_download(timeout=200_000) as waited:
        page.locator("#take").click()
    return waited.value.suggested_filename, waited.value.path().read_bytes()


def test_a_file_is_dropped_anywhere(new_page, tmp_path):
    page = new_page()
    drop(page, write_tune(tmp_path / "from elsewhere.mid"))
    until(page, "studio.store.state.piece?.name === 'from elsewhere'")
    assert len(state(page, "piece.notes")) == 24
    assert state(page, "piece.parts.map((part) => part.name)") == ["Melody", "Bass"]


def test_files_are_chosen_by_a_button(new_page, tmp_path):
    page = new_page(panel="files")
    page.locator("#bring").set_input_files([write_tune(tmp_path / f"chosen {n}.mid", bars=n) for n in (1, 2)])
    until(page, "studio.store.state.pieces.some(({name}) => name === 'chosen 2')")
    until(page, "studio.store.state.piece?.name === 'chosen 1'")


def test_what_is_no_music_is_refused_in_a_sentence(new_page, tmp_path):
    page = new_page()
    (tmp_path / "letter.mid").write_text("Dear Sir or Madam")
    drop(page, tmp_path / "letter.mid")
    assert "\n" not in says(page, "letter.mid")


def test_a_piece_is_dragged_out_of_the_list(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    name, notes = dragged(page, page.locator(f"[data-piece='{tune['id']}'] .name"))
    assert name == f"{tune['name']}.mid"
    assert len(notes) == 24


@pytest.mark.slow
def test_a_part_and_the_selection_are_dragged_out(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    page.locator("#take-what").select_option(label="Bass")
    name, notes = dragged(page, page.locator(".handle"))
    assert name == f"{tune['name']}, Bass.mid"
    assert len(notes) == 8 and {part for part, *_ in notes} == {"Bass"}
    page = new_page(piece=tune["id"], panel="files")  # without a window a page's second drag seldom begins
    select(page, (1, 2), (0,))
    page.locator("#take-what").select_option("selection")
    name, notes = dragged(page, page.locator(".handle"))
    assert name == f"{tune['name']}, bars 2-3, Melody.mid"
    assert [pitch for _, pitch, _ in notes] == [79, 81, 79, 76, 72, 74, 76, 77]
    assert notes[0][2] == 0  # it begins with its first bar


def test_a_part_is_dragged_out_of_the_list_of_parts(new_page, tune):
    page = new_page(piece=tune["id"])
    name, notes = dragged(page, page.locator("#parts [draggable=true]").nth(1))
    assert "Bass" in name and len(notes) == 8


STARTS = {
    "mid": b"MThd",
    "wav": b"RIFF",
    "flac": b"fLaC",
    "musicxml": b"<?xml",
    "png": b"\x89PNG",
    "html": b"<!doctype html>",
}


def test_a_piece_is_saved_in_every_format(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    for format, start in STARTS.items():
        name, content = saved(page, "The whole piece", format)
        assert name == f"{tune['name']}.{format}"
        assert content[: len(start)].lower() == start.lower()


def test_the_page_to_share_needs_no_network(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    _, content = saved(page, "The whole piece", "html")
    text = content.decode()
    assert "https://" not in text and "http://" not in text.replace("http://www.w3.org", "")
    page.context.set_offline(True)
    shown = page.context.new_page()
    shown.set_content(text)
    assert shown.locator("canvas, svg").count() > 0


def test_stems_are_a_file_for_each_part(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    name, content = saved(page, "The whole piece", "stems")
    assert name == f"{tune['name']}.zip"
    with zipfile.ZipFile(io.BytesIO(content)) as stems:
        notes = [notes_of(stems.read(one)) for one in stems.namelist()]
    assert sorted(map(len, notes)) == [8, 16]


def test_a_piece_is_renamed_copied_deleted_and_brought_back(new_page, tune):
    page = new_page(piece=tune["id"], panel="files")
    page.get_by_role("button", name=f"Rename {tune['name']}").first.click()
    page.get_by_label("New name").fill("evening")
    page.keyboard.press("Enter")
    until(page, "studio.store.state.piece.name === 'evening'")
    page.get_by_role("button", name="Copy evening").click()
    until(page, f"studio.store.state.piece.id !== '{tune['id']}'")
    copy = state(page, "piece")
    page.get_by_role("button", name=f"Delete {copy['name']}", exact=True).first.click()
    until(page, f"!studio.store.state.pieces.some(({{id}}) => id === '{copy['id']}')")
    page.locator("#undelete").click()
    until(page, f"studio.store.state.piece?.id === '{copy['id']}'")
    assert state(page, "piece.notes") == copy["notes"]
