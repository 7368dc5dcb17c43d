"""Trust: what of a piece stands in the training music is marked and heard; how it was made is said, and made again."""

from pathlib import Path

import pytest
from pages import state, steer, until

AIR = Path(__file__).parents[2] / "data" / "starter" / "airs" / "oneill-0000-the-supple-dancer.mid"


@pytest.fixture
def known(studio):
    """A piece that is one of the training pieces."""
    return studio.bring(AIR)


def test_a_copy_is_found_marked_and_heard_beside_its_source(new_page, known):
    page = new_page(piece=known["id"], panel="trust")
    until(page, "studio.store.state.originality !== null")
    found = state(page, "originality")
    assert found["share"] > 0.9 and found["longest"] > 50
    assert page.locator("#longest").inner_text() == f"{found['longest']} notes"
    first = page.locator("#matches li").first
    assert "supple-dancer" in first.inner_text()
    first.get_by_role("button").first.click()
    until(page, "studio.store.state.match === 0")
    first.get_by_role("button", name="Hear it there").click()
    until(page, "studio.store.state.preview?.notes.length > 0 && studio.store.state.playing")
    page.locator("#matches li").first.get_by_role("button", name="Back").click()
    until(page, "studio.store.state.preview === null && !studio.store.state.playing")


def test_another_panel_ends_the_preview(new_page, known):
    page = new_page(piece=known["id"], panel="trust")
    page.locator("#matches li").first.get_by_role("button", name="Hear it there").click()
    until(page, "studio.store.state.preview !== null")
    page.evaluate("studio.store.set({panel: 'files'})")
    until(page, "studio.store.state.preview === null")


def test_provenance_is_shown_and_the_piece_made_again(new_page):
    page = new_page()
    steer(page, bars=2)
    page.locator("#compose").click()
    until(page, "studio.store.state.piece?.provenance")
    page.evaluate("studio.store.set({panel: 'trust'})")
    page.locator(".made").get_by_text(str(state(page, "piece.provenance.seed"))).wait_for()
    assert "bars 2" in page.locator(".made").inner_text()
    page.locator("#replay").click()
    page.get_by_text("byte for byte").first.wait_for()


def test_what_was_brought_in_says_nothing_of_its_making(new_page, tune):
    page = new_page(piece=tune["id"], panel="trust")
    page.get_by_text("says nothing of how it was made").wait_for()
    assert page.locator("#replay").is_disabled()
