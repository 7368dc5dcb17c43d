"""Hear, see and edit: the roll, the player, the parts and the keys of the studio's page."""

import re

import pytest
from pages import says, state, until, write_tune

from studio.conftest import ready

SIZES = {"desktop": (1280, 720), "tablet": (1024, 768), "upright tablet": (768, 1024)}
NOTE = "[...studio.store.state.selection.notes].map((number) => studio.store.state.piece.notes[number])"


@pytest.fixture
def page(new_page, tune):
    """A page with the test's own piece, the roll in focus."""
    opened = new_page(piece=tune["id"])
    opened.locator("#roll").focus()
    return opened


def settle(page):
    """Wait until every edit that was begun is saved."""
    page.evaluate("import('/static/edit.js').then(({settled}) => settled())")


def press(page, *keys):
    """Press keys one after another, and wait until what they changed was saved."""
    for key in keys:
        page.keyboard.press(key)
    settle(page)


def selected(page):
    """The selected notes, as [part, onset, duration, pitch, velocity]."""
    return page.evaluate(NOTE)


def loudest(page, seconds=0.6):
    """The greatest level of some moments of playing."""
    levels = []
    for _ in range(int(seconds / 0.03)):
        levels.append(page.evaluate("studio.level()"))
        page.wait_for_timeout(30)
    return max(levels)


def on_roll(page, tick, pitch):
    """Where, on the page, a tick and a pitch are."""
    box = page.locator("#roll").bounding_box()
    x, y = page.evaluate(
        """async ([tick, pitch]) => {
            const {xOf, yOf, view} = await import("/static/geometry.js");
            return [xOf(tick), yOf(pitch) + view.row / 2];
        }""",
        [tick, pitch],
    )
    return box["x"] + x, box["y"] + y


def drag(page, start, end, steps=6):
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=steps)
    page.mouse.up()
    settle(page)


def colours(page, tick, pitch):
    """The colour of the roll's picture at a place."""
    x, y = on_roll(page, tick, pitch)
    box = page.locator("#roll").bounding_box()
    return page.evaluate(
        """([x, y]) => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => {
            const canvas = document.querySelector("#roll canvas");
            done([...canvas.getContext("2d").getImageData(x, y, 1, 1).data.slice(0, 3)]);
        })))""",
        [x - box["x"], y - box["y"]],
    )


# --- hear ---


def test_space_plays_a_moving_line_and_stops_where_it_began(page):
    page.keyboard.press("Space")
    until(page, "studio.store.state.position > 0 && studio.level() > 0.001")
    page.keyboard.press("Space")
    assert state(page, "playing") is False
    assert state(page, "position") == state(page, "cursor") == 0


def test_space_plays_after_a_button_was_clicked(page):
    page.locator(".part .mute").first.click()
    page.keyboard.press("Space")
    assert state(page, "playing") is True
    assert page.locator(".part .mute").first.get_attribute("aria-pressed") == "true"


def test_mute_solo_and_volume_are_heard(page):
    page.evaluate("studio.store.set({loop: [0, studio.store.state.piece.length]})")
    page.keyboard.press("Space")
    assert loudest(page) > 0.01
    page.get_by_label("Mute Melody").click()
    assert loudest(page) > 0.01
    page.get_by_label("Mute Bass").click()
    page.wait_for_timeout(900)  # the echo
    assert loudest(page) < 0.01
    page.get_by_label("Solo Bass").click()
    assert loudest(page) > 0.01
    page.get_by_label("Volume of Bass").fill("0")
    page.wait_for_timeout(900)
    assert loudest(page) < 0.01


def test_a_loop_comes_back_and_tempo_changes_the_pace(page):
    width = state(page, "piece.bars[1]")
    page.evaluate("studio.select({bars: [1, 1]})")
    page.keyboard.press("l")
    assert state(page, "loop") == [width, 2 * width]
    page.locator("#tempo").fill("200")
    assert page.locator("#qpm").inner_text() == "240 qpm"
    page.evaluate("""() => {
        window.places = [];
        studio.store.on("position", (position) => places.push(position));
    }""")
    page.locator("#roll").focus()
    page.keyboard.press("Space")
    until(page, "places.some((place, at) => at && place < places[at - 1])")
    page.keyboard.press("Space")
    assert page.evaluate("places.slice(0, -1).every((place) => place >= studio.store.state.loop[0])")
    page.keyboard.press("l")
    assert state(page, "loop") is None


def test_an_instrument_is_changed_in_the_file(page, tune):
    page.get_by_label("Instrument of Melody").select_option("40")
    until(page, "studio.store.state.piece.parts[0].program === 40")
    press(page, "Control+z")
    assert state(page, "piece.parts[0].program") == 73


# --- see ---


def test_the_roll_shows_notes_selection_and_surprise(page):
    onset, pitch = state(page, "piece.notes[0][1]"), state(page, "piece.notes.find((note) => note[0] === 0)[3]")
    width = state(page, "piece.ticks_per_beat")
    before = colours(page, onset + width / 2, pitch)
    assert before != colours(page, onset + width / 2, pitch + 2)
    page.keyboard.press("s")
    until(page, "studio.store.state.surprise !== null")
    assert len(state(page, "surprise.nats")) == state(page, "piece.notes.length")
    assert page.locator("#surprise").get_attribute("aria-pressed") == "true"
    page.keyboard.press("s")
    assert state(page, "surprise") is None
    assert colours(page, onset + width / 2, pitch) == before


def test_zoom_scroll_and_follow(new_page, studio, tmp_path):
    piece = studio.bring(write_tune(tmp_path / "long.mid", bars=64))
    page = new_page(piece=piece["id"])
    page.locator("#roll").focus()
    view = "import('/static/geometry.js').then(({view}) => [view.left, view.scale])"
    left, scale = page.evaluate(view)
    assert left == 0
    page.keyboard.press("+")
    assert page.evaluate(view)[1] > scale
    page.keyboard.press("Shift+z")
    whole = page.evaluate(view)[1]
    assert whole < scale
    page.keyboard.press("+")
    page.keyboard.press("+")
    page.mouse.move(*on_roll(page, 4000, 60))
    page.mouse.wheel(200, 0)
    until(page, f"{view}.then(([left]) => left > 0)")
    page.evaluate("studio.play(Math.round(studio.store.state.piece.length * 0.8))")
    page.wait_for_timeout(2600)  # a hand that has just scrolled isn't taken the view from
    until(page, f"{view}.then(([left]) => left > studio.store.state.piece.length * 0.3)")


@pytest.mark.slow
def test_ten_thousand_notes_are_shown_and_found(new_page, studio, tmp_path):
    piece = studio.bring(write_tune(tmp_path / "ten thousand.mid", bars=1700))
    page = new_page(piece=piece["id"])
    assert state(page, "piece.notes.length") == 1700 * 6
    page.locator("#roll").focus()
    page.keyboard.press("Shift+z")
    press(page, "Control+a")
    assert state(page, "selection.notes.size") == 1700 * 6
    page.keyboard.press("Escape")
    page.keyboard.press("End")
    page.keyboard.press(",")
    assert selected(page)[0][1] == max(note[1] for note in state(page, "piece.notes"))


def test_sheet_music_stands_beside_the_roll(page):
    if not state(page, "status.verovio"):
        pytest.skip("verovio isn't installed")
    page.get_by_role("radio", name="Both").click()
    until(page, "document.querySelector('#score img').naturalWidth > 0")
    assert page.locator("#roll").is_visible()
    page.get_by_role("radio", name="Both").press("ArrowRight")
    assert not page.locator("#roll").is_visible()


# --- edit ---


def test_keys_move_stretch_and_delete_a_note(page):
    beat, notes = state(page, "piece.ticks_per_beat"), state(page, "piece.notes")
    press(page, ".")
    ((part, onset, duration, pitch, velocity),) = selected(page)
    press(page, "ArrowRight", "ArrowRight", "ArrowUp")
    assert selected(page) == [[part, onset + beat / 2, duration, pitch + 1, velocity]]
    press(page, "Shift+ArrowUp")
    assert selected(page) == [[part, onset + beat / 2, duration, pitch + 13, velocity]]
    press(page, "Alt+ArrowRight", "Alt+ArrowUp")
    assert selected(page) == [[part, onset + beat / 2, duration + beat / 4, pitch + 13, velocity + 8]]
    press(page, "Delete")
    assert state(page, "piece.notes.length") == len(notes) - 1
    while state(page, "piece.can_undo"):
        press(page, "Control+z")
    assert state(page, "piece.notes") == notes
    press(page, "Control+Shift+z")
    assert state(page, "piece.notes") != notes


def test_nothing_goes_before_the_start_or_beyond_the_pitches(page):
    press(page, ".", "ArrowLeft", *["Shift+ArrowUp"] * 11)
    ((_, onset, _, pitch, _),) = selected(page)
    assert (onset, pitch) == (0, 127)


def test_copy_paste_duplicate_cut_and_quantise(page):
    width, notes = state(page, "piece.bars[1]"), state(page, "piece.notes")
    page.evaluate("studio.select({bars: [3, 3]})")
    inside = [note for note in notes if note[1] >= 3 * width]
    press(page, "Control+d")
    assert state(page, "piece.notes.length") == len(notes) + len(inside)
    assert {note[1] // width for note in selected(page)} == {4}
    press(page, "Control+x")
    assert state(page, "piece.notes.length") == len(notes)
    press(page, "Home", "Control+v")
    assert sorted(selected(page)) == sorted([part, onset - 3 * width, *rest] for part, onset, *rest in inside)
    press(page, "Control+z", "Control+z", "Control+z")
    assert sorted(state(page, "piece.notes")) == sorted(notes)
    page.evaluate("studio.change('edit', {remove: [0], add: [[0, 37, 100, 70, 80]]})")
    until(page, "studio.store.state.piece.notes.some((note) => note[1] === 37)")
    press(page, "Escape", "q")
    until(page, "studio.store.state.piece.notes.every((note) => note[1] !== 37)")


def test_the_mouse_adds_moves_stretches_and_selects(page):
    beat, width, count = (state(page, f"piece.{what}") for what in ("ticks_per_beat", "bars[1]", "notes.length"))
    page.mouse.dblclick(*on_roll(page, width + beat / 8, 60))
    until(page, f"studio.store.state.piece.notes.length === {count + 1}")
    until(page, f"{NOTE}.length === 1")
    assert selected(page) == [[0, width, beat / 4, 60, 80]]
    drag(page, on_roll(page, width + beat / 8, 60), on_roll(page, width + beat * 9 / 8, 58))
    assert selected(page) == [[0, width + beat, beat / 4, 58, 80]]
    drag(page, on_roll(page, width + beat * 1.24, 58), on_roll(page, width + beat * 2, 58))
    assert selected(page) == [[0, width + beat, beat, 58, 80]]
    drag(page, on_roll(page, width * 2 + beat / 4, 82), on_roll(page, width * 3 - beat / 4, 62))
    assert {note[0] for note in selected(page)} == {0}
    assert {int(note[1] // width) for note in selected(page)} == {2}
    box = page.locator("#roll").bounding_box()
    x = on_roll(page, width * 2, 60)[0]
    drag(page, (x + 5, box["y"] + 10), (x + 90, box["y"] + 10))
    assert state(page, "selection.bars") == [2, 2] or state(page, "selection.bars") == [2, 3]


def test_velocities_are_drawn(page):
    box = page.locator("#roll").bounding_box()
    x = on_roll(page, 0, 60)[0] + 1
    top = box["y"] + box["height"] - 26
    drag(page, (x, top - 20), (x, top - 2))
    until(page, "studio.store.state.piece.notes.filter((note) => note[1] === 0).every((note) => note[4] < 20)")
    assert state(page, "piece.can_undo")


def test_a_held_key_on_a_slow_server_loses_nothing(page):
    page.route("**/edit", lambda route: (page.wait_for_timeout(150), route.continue_()))
    press(page, ".")
    onset, beat = selected(page)[0][1], state(page, "piece.ticks_per_beat")
    press(page, *["ArrowRight"] * 9)
    assert selected(page)[0][1] == onset + 9 * beat / 4


def test_an_edit_is_undone_after_a_reload(page, tune):
    notes = state(page, "piece.notes")
    press(page, ".", "ArrowUp")
    page.reload()
    ready(page)
    assert state(page, "piece.id") == tune["id"]
    assert state(page, "piece.notes") != notes
    page.locator("#roll").focus()
    press(page, "Control+z")
    assert state(page, "piece.notes") == notes


def test_chords_are_wished_for_above_the_roll(page):
    press(page, "c")
    page.keyboard.type("Am7")
    page.keyboard.press("Tab")
    page.keyboard.type("F G")
    page.keyboard.press("Enter")
    assert state(page, "plan.chords") == ["Am7", "F G", "", ""]
    assert page.evaluate("document.activeElement.id") == "roll"


def test_a_locked_part_is_not_edited(page):
    page.get_by_label("Lock Melody").click()
    until(page, "studio.store.state.piece.parts[0].locked")
    notes = state(page, "piece.notes")
    page.locator("#roll").focus()
    press(page, "Control+a", "ArrowUp")
    after = state(page, "piece.notes")
    assert [note for note in after if note[0] == 0] == [note for note in notes if note[0] == 0]
    assert [note for note in after if note[0] == 1] != [note for note in notes if note[0] == 1]


# --- what goes wrong ---


def test_a_lost_server_is_said_and_found_again(new_page, start_studio, tmp_path):
    folder = tmp_path / "project"
    one = start_studio(folder=folder)
    tune = one.bring(write_tune(tmp_path / "tune.mid"))
    page = new_page(piece=tune["id"], at=one)
    page.locator("#roll").focus()
    press(page, ".")
    one.stop()
    page.keyboard.press("ArrowUp")
    says(page, "The studio has stopped")
    assert page.locator("#play").is_disabled()
    start_studio(folder=folder)
    until(page, "!studio.store.state.lost")
    page.get_by_role("alert").wait_for(state="hidden")
    press(page, "ArrowUp")
    assert state(page, "piece.can_undo")


# --- looks, and who can't look ---


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_cut_or_overlaps(new_page, tune, size, scheme):
    width, height = SIZES[size]
    page = new_page(piece=tune["id"], viewport={"width": width, "height": height}, color_scheme=scheme)
    page.evaluate("studio.select({bars: [0, 2], parts: new Set([0])})")
    found = page.evaluate("""() => {
        const problems = [];
        const shown = (element) => element.checkVisibility() && element.getBoundingClientRect().width > 1;
        const {innerWidth, innerHeight} = window;
        if (document.documentElement.scrollWidth > innerWidth) problems.push("the page scrolls sideways");
        const controls = [...document.querySelectorAll(".bar *, .tools *, .tabs *, .part *, .parts .head *")]
            .filter((element) => element.matches("button, select, input, output") && shown(element));
        for (const element of controls) {
            const {left, right, top, bottom} = element.getBoundingClientRect();
            const name = element.id || element.className;
            const outside = left < -0.5 || right > innerWidth + 0.5 || top < -0.5 || bottom > innerHeight + 0.5;
            const cut = element.matches(".tab, .button") && element.scrollWidth > element.clientWidth;
            if (outside || cut) problems.push(`${name} is cut`);
            for (const other of controls) {
                if (other === element) continue;
                const box = other.getBoundingClientRect();
                const over = Math.min(right, box.right) - Math.max(left, box.left);
                const under = Math.min(bottom, box.bottom) - Math.max(top, box.top);
                if (over > 1 && under > 1) problems.push(`${name} overlaps ${other.id || other.className}`);
            }
        }
        const tools = document.querySelector(".tools");
        if (tools.scrollWidth > tools.clientWidth) problems.push("the tools are cut");
        return problems;
    }""")
    assert found == []


def test_every_control_has_a_name_and_the_selection_is_spoken(page):
    unnamed = page.evaluate("""() => [...document.querySelectorAll("button, select, input, [role=application], dialog")]
        .filter((element) => !element.closest(".panel") && element.checkVisibility())
        .filter((element) => !(element.getAttribute("aria-label") || element.labels?.[0]?.textContent.trim()
            || document.getElementById(element.getAttribute("aria-labelledby")) || element.textContent.trim()))
        .map((element) => element.outerHTML)""")
    assert unnamed == []
    assert re.search(r"4 bars, 2 parts, 24 notes", page.locator("#roll").get_attribute("aria-label"))
    press(page, ".")
    until(page, "/(Melody|Bass), C \\\\d?|bar 1 beat 1/.test(document.querySelector('#spoken').textContent)")
    page.evaluate("studio.select({bars: [0, 1], parts: new Set([1])})")
    until(page, "document.querySelector('#spoken').textContent === 'Bars 1 to 2, Bass, 4 notes'")


def test_tab_reaches_everything_and_the_focus_is_seen(page):
    press(page, ".", "ArrowUp", "Control+z", "ArrowUp")
    page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(90):
        page.keyboard.press("Tab")
        name, outline = page.evaluate("""(() => {
            const focused = document.activeElement;
            return [focused.id || focused.className, getComputedStyle(focused).outlineStyle];
        })()""")
        reached.add(name)
        assert outline != "none" or name == "", name
    assert {"pieces", "play", "loop", "tempo", "undo", "grid", "surprise", "zoom-in", "roll", "tab-compose"} <= reached
    assert {"name", "toggle mute", "toggle solo", "toggle lock"} <= {name.replace("  ", " ") for name in reached}


def test_the_keys_are_listed(page):
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    keys.wait_for()
    assert {"Playing", "Editing", "Selecting", "View"} <= set(keys.locator("h3").all_inner_texts())
    page.keyboard.press("Escape")
    keys.wait_for(state="hidden")


def test_a_finger_scrolls_and_a_tap_sets_the_cursor(new_page, studio, tmp_path):
    piece = studio.bring(write_tune(tmp_path / "long.mid", bars=32))
    page = new_page(piece=piece["id"], viewport={"width": 1024, "height": 768}, has_touch=True)
    width = state(page, "piece.bars[1]")
    page.touchscreen.tap(*on_roll(page, width * 2, 66))
    until(page, f"studio.store.state.cursor === {width * 2}")
    x, y = on_roll(page, width * 4, 66)
    session = page.context.new_cdp_session(page)
    touch = lambda kind, *points: session.send(  # noqa: E731
        "Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
    )
    touch("touchStart", (x, y))
    for step in range(1, 9):
        touch("touchMove", (x - 25 * step, y))
    touch("touchEnd")
    until(page, "import('/static/geometry.js').then(({view}) => view.left > 0)")
    assert state(page, "selection.notes.size") == 0
