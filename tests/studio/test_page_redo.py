"""Redo: candidates are heard in place and one is kept; parts can be locked, joined, varied, continued."""

import pytest
from pages import says, select, state, until


def redone(page):
    """Press R and wait for the candidates."""
    page.locator("#roll").focus()
    page.keyboard.press("r")
    until(page, "studio.store.state.candidates !== null")
    return state(page, "candidates.list")


def outside(notes, part, bar, width):
    return [note for note in notes if not (note[0] == part and bar * width <= note[1] < (bar + 1) * width)]


def test_a_bar_is_redone_heard_and_kept(new_page, tune):
    page = new_page(piece=tune["id"])
    before = state(page, "piece.notes")
    width = state(page, "piece.bars[1]")
    select(page, (2, 2), (1,))
    candidates = redone(page)
    assert [one["number"] for one in candidates] == [1, 2, 3, 4]
    until(page, "studio.store.state.playing")
    heard = []
    for key in "1234":
        page.keyboard.press(key)
        assert state(page, "candidate") == int(key)
        heard.append(
            str(page.evaluate("studio.soundingNotes().filter(({note}) => note[0] === 1).map(({note}) => note.join())"))
        )
    assert len(set(heard)) == 4
    page.keyboard.press("0")
    assert page.evaluate("studio.soundingNotes().length") == len(before)
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    until(page, f"studio.store.state.piece.revision > {tune['revision']}")
    after = state(page, "piece.notes")
    assert after != before
    assert outside(after, 1, 2, width) == outside(before, 1, 2, width)
    assert state(page, "candidates") is None
    assert state(page, "piece.provenance") is not None


def test_a_kept_candidate_is_undone_after_a_reload(new_page, tune):
    from studio.conftest import ready

    page = new_page(piece=tune["id"])
    before = state(page, "piece.notes")
    select(page, (1, 1), (0,))
    redone(page)
    page.keyboard.press("Enter")
    until(page, "studio.store.state.piece.can_undo")
    page.reload()
    ready(page)
    page.evaluate("id => studio.open(id)", tune["id"])
    until(page, "studio.store.state.piece.can_undo")
    page.locator("#roll").focus()
    page.keyboard.press("Control+z")
    until(page, "studio.store.state.piece.can_redo")
    assert state(page, "piece.notes") == before


def test_escape_leaves_all_as_it_was(new_page, tune):
    page = new_page(piece=tune["id"])
    select(page, (0, 0))
    redone(page)
    page.keyboard.press("Escape")
    until(page, "studio.store.state.candidates === null")
    assert state(page, "piece.revision") == tune["revision"]


def test_without_a_selection_a_sentence_says_what_to_do(new_page, tune):
    page = new_page(piece=tune["id"])
    page.locator("#roll").focus()
    page.keyboard.press("r")
    says(page, "Select what to redo first")


def test_a_locked_part_stays(new_page, tune):
    page = new_page(piece=tune["id"])
    page.evaluate("studio.change('part', {part: 0, locked: true})")
    until(page, "studio.store.state.piece.parts[0].locked")
    select(page, (1, 2))
    melody = {number for number, note in enumerate(state(page, "piece.notes")) if note[0] == 0}
    for one in redone(page):
        assert not melody & set(one["remove"])
        assert all(note[0] != 0 for note in one["add"])
    page.keyboard.press("Escape")
    select(page, (1, 2), (0,))
    page.locator("#roll").focus()
    page.keyboard.press("r")
    says(page, "locked")


@pytest.mark.parametrize("kind", ["Vary", "Accompany", "Continue", "Loop"])
def test_vary_accompany_continue_and_loop(new_page, tune, kind):
    page = new_page(piece=tune["id"], panel="redo")
    page.get_by_role("radio", name=kind).check()
    notes, length = state(page, "piece.notes"), state(page, "piece.length")
    if kind == "Accompany":
        page.get_by_label("Instruments that join").fill("piano")
    if kind == "Continue":
        page.get_by_label("New bars").fill("2")
        page.get_by_label("New bars").press("Tab")
    page.locator("#redo").click()
    until(page, "studio.store.state.candidates !== null")
    best = state(page, "candidates.list[0]")
    removed = [notes[number] for number in best["remove"]]
    if kind == "Vary":  # other pitches at the same places
        places = [[(note[0], note[1], note[2]) for note in which] for which in (removed, best["add"])]
        assert sorted(places[0]) == sorted(places[1]) and removed
    if kind == "Accompany":
        assert not removed and {note[0] for note in best["add"]} == {2}
    if kind == "Continue":
        assert not removed and min(note[1] for note in best["add"]) >= length
    if kind == "Loop":
        assert min(note[1] for note in [*removed, *best["add"]]) >= state(page, "piece.bars[3]")
    page.locator("#keep").click()
    until(page, f"studio.store.state.piece.revision > {tune['revision']}")
    if kind == "Accompany":
        assert len(state(page, "piece.parts")) == 3
    if kind == "Continue":
        assert len(state(page, "piece.bars")) == 7


def test_a_slow_server_can_be_waited_for_or_stopped(new_page, tune):
    page = new_page(piece=tune["id"])
    held = []
    page.route("**/redo", lambda route: held.append(route))  # the answer doesn't come
    select(page, (1, 1))
    page.locator("#roll").focus()
    page.keyboard.press("r")
    page.get_by_text("Composing …").wait_for()
    until(page, "document.querySelector('#redo').disabled")
    page.locator("#roll").focus()
    page.keyboard.press("Escape")
    until(page, "!document.querySelector('#redo').disabled")
    held[0].continue_()  # it comes after all: nobody waits for it any more
    page.wait_for_timeout(200)
    assert state(page, "candidates") is None
    page.unroute("**/redo")
    assert len(redone(page)) == 4
