"""Play in: a MIDI keyboard, the computer's keys or the drawn piano record a melody; the model goes on from it."""

from pages import state, until

# A MIDI keyboard that a test plays: window.strike(pitch, velocity), velocity 0 lets go.
KEYBOARD = """() => {
const input = {name: "Test keyboard", state: "connected"};
navigator.requestMIDIAccess = async () => ({inputs: new Map([["1", input]])});
window.strike = (pitch, velocity) =>
    input.onmidimessage({data: [velocity ? 0x90 : 0x80, pitch, velocity], timeStamp: performance.now()});
}"""


def record(page):
    """Start recording, and wait until the bar that is counted in is over."""
    page.get_by_label("Beats a minute").fill("300")
    page.get_by_label("Beats a minute").press("Tab")
    page.locator("#record").click()
    page.get_by_text("Recording: play.").wait_for()


def play(page, down, up):
    """Hold a key for a moment."""
    down()
    page.wait_for_timeout(120)
    up()
    page.wait_for_timeout(40)


def test_a_melody_on_the_computers_keys_becomes_a_piece(new_page):
    page = new_page(panel="playin")
    page.get_by_label("The computer’s keys are a piano").check()
    record(page)
    for key in "adg":  # C, E, G; these are keys of the page, too, which now rest
        play(page, lambda key=key: page.keyboard.down(key), lambda key=key: page.keyboard.up(key))
    page.locator("#record").click()
    until(page, "studio.store.state.piece?.notes.length === 3")
    notes = state(page, "piece.notes")
    assert [note[3] for note in notes] == [48, 52, 55]
    assert all(note[2] > 0 for note in notes) and notes[0][1] < notes[1][1] < notes[2][1]
    assert state(page, "pieces[0].origin") == "recorded"
    assert round(state(page, "piece.tempos[0][1]")) == 300


def test_a_midi_keyboard_is_heard_with_its_velocities(new_page):
    page = new_page()
    page.evaluate(KEYBOARD)
    page.evaluate("studio.store.set({panel: 'playin'})")
    page.get_by_text("Listening to Test keyboard.").wait_for()
    record(page)
    for strike in ("strike(60, 30)", "strike(64, 100)"):
        release = strike.partition(",")[0] + ", 0)"
        play(page, lambda strike=strike: page.evaluate(strike), lambda release=release: page.evaluate(release))
    page.locator("#record").click()
    until(page, "studio.store.state.piece?.notes.length === 2")
    assert [note[3:] for note in state(page, "piece.notes")] == [[60, 30], [64, 100]]


def test_a_melody_is_continued_and_accompanied(new_page):
    page = new_page(panel="playin")
    record(page)
    for pitch in (60, 62, 64, 65, 67):
        key = page.locator(f"[data-pitch='{pitch}']").bounding_box()
        page.mouse.move(key["x"] + key["width"] / 2, key["y"] + key["height"] - 6)
        play(page, page.mouse.down, page.mouse.up)
    page.locator("#record").click()
    page.locator("#playin-continue").click()
    until(page, "studio.store.state.candidates !== null")
    length = state(page, "piece.length")
    assert all(note[1] >= length for note in state(page, "candidates.list[0].add"))
    page.keyboard.press("Escape")
    page.evaluate("studio.store.set({panel: 'playin'})")
    page.locator("#playin-accompany").click()
    assert page.get_by_label("Instruments that join").input_value() == "piano, bass"


def test_nothing_played_makes_no_piece(new_page):
    page = new_page(panel="playin")
    pieces = len(state(page, "pieces"))
    record(page)
    page.locator("#record").click()
    page.get_by_text("Nothing was played").wait_for()
    assert len(state(page, "pieces")) == pieces
