"""Two tabs on one piece: neither overwrites what the other did."""

from pages import says, select, state, steer, until

ADD = """(note) => studio.post(`/api/pieces/${studio.store.state.piece.id}/edit`,
    {revision: studio.store.state.piece.revision, remove: [], add: [note]}).then(studio.show, () => 0)"""


def test_an_edit_of_what_another_tab_changed_is_refused_and_shown(new_page, tune):
    one, other = new_page(piece=tune["id"]), new_page(piece=tune["id"])
    one.evaluate(ADD, [0, 0, 100, 90, 80])
    until(one, "studio.store.state.piece.notes.length === 25")
    other.evaluate(ADD, [0, 0, 100, 91, 80])
    says(other, "another")
    # It shows what the other did; the same again then goes on top of it.
    until(other, "studio.store.state.piece.notes.some((note) => note[3] === 90)")
    other.evaluate(ADD, [0, 0, 100, 91, 80])
    until(other, "studio.store.state.piece.notes.length === 26")


def test_a_candidate_of_a_piece_that_was_changed_meanwhile_is_not_kept(new_page, tune):
    one, other = new_page(piece=tune["id"]), new_page(piece=tune["id"])
    select(one, (1, 1), (1,))
    one.locator("#roll").focus()
    one.keyboard.press("r")
    until(one, "studio.store.state.candidates !== null")
    other.evaluate(ADD, [0, 0, 100, 90, 80])
    until(other, "studio.store.state.piece.notes.length === 25")
    one.keyboard.press("Enter")
    until(one, "studio.store.state.piece.notes.length === 25")
    assert state(one, "candidates") is None


def test_settings_of_another_tab_are_taken_over(new_page):
    one, other = new_page(panel="compose"), new_page(panel="compose")
    steer(one, bars=6)
    until(one, "document.querySelector('[data-setting=bars]').value === '6'")
    one.wait_for_timeout(150)
    steer(other, bars=9)
    until(other, "document.querySelector('[data-setting=bars]').value === '6'")
    steer(other)
