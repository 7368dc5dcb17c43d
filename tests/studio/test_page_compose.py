"""Hear and steer: the page composes, plays what comes, and takes every setting from its declaration."""

import pytest
from pages import says, state, steer, until


def compose(page, **settings):
    """Compose with the panel's settings; the new piece is open."""
    before = state(page, "piece?.id ?? null")
    steer(page, **settings)
    page.locator("#compose").click()
    until(page, "id => studio.store.state.piece && studio.store.state.piece.id !== id", before)


HEAR = """() => {
    window.heard = {position: 0, level: 0};
    studio.store.on("position", (position) => {
        heard.position = Math.max(heard.position, position);
        heard.level = Math.max(heard.level, studio.level());
    });
}"""


def test_one_press_composes_and_plays(new_page):
    page = new_page()
    page.evaluate(HEAR)
    compose(page, bars=6)
    until(page, "heard.position > 0 && heard.level > 0.001")
    assert state(page, "piece.bars.length") == 7
    assert state(page, "pieces[0].id") == state(page, "piece.id")


def test_every_setting_has_a_control_with_its_help(new_page):
    page = new_page(panel="steer")
    settings = state(page, "status.settings")
    assert len(settings) > 15
    for setting in settings:
        control = page.locator(f"[data-setting={setting['name']}]:visible")
        assert control.count() == 1, setting["name"]
        hint = page.locator(f"#{control.get_attribute('aria-describedby')}").inner_text()
        assert hint[:20] == setting["help"][:20] or "-" in setting["help"]
        if setting["type"] in ("int", "float") and setting["low"] is not None:
            assert float(control.get_attribute("min")) == setting["low"]


def test_settings_steer_the_piece_and_outlive_the_page(new_page):
    page = new_page(panel="steer")
    page.locator("[data-setting=bars]:visible").fill("3")
    page.locator("[data-setting=qpm]:visible").fill("77")
    page.locator("[data-setting=qpm]:visible").press("Tab")
    page.evaluate("studio.store.set({panel: 'compose'})")
    page.locator("#compose").click()
    until(page, "studio.store.state.piece?.bars.length === 4")
    assert round(state(page, "piece.tempos[0][1]")) == 77
    page.reload()
    page.locator("[data-setting=bars]:visible").wait_for()
    until(page, "document.querySelector('[data-setting=bars]').value === '3'")
    page.get_by_role("button", name="Leave all to the model").first.click()
    until(page, "document.querySelector('[data-setting=bars]').value === ''")


def test_a_setting_out_of_range_is_one_sentence(new_page):
    page = new_page(panel="compose")
    page.locator("[data-setting=temperature]:visible").fill("99")
    page.locator("[data-setting=temperature]:visible").press("Tab")
    page.locator("#compose").click()
    assert "0..10" in says(page, "temperature 99")
    page.get_by_role("button", name="Leave all to the model").first.click()


def test_what_is_written_above_the_roll_steers_the_next_piece(new_page, tune):
    page = new_page(piece=tune["id"])
    asked = []
    refusal = {"status": 400, "json": {"error": "Not now."}}
    page.route("**/api/compose", lambda route: asked.append(route.request.post_data_json) or route.fulfill(**refusal))
    page.evaluate("studio.store.set({plan: {form: ['A', '', 'B', 'A'], chords: ['', 'C', '', 'G7']}})")
    page.get_by_text("With the form and chords written above the roll.").wait_for()
    page.locator("#compose").click()
    says(page, "Not now.")
    assert asked[0]["settings"]["chords"] == "N.C. | C | % | G7"
    assert asked[0]["settings"]["form"] == "A2 B1 A1"


def test_a_length_is_one_of_three(new_page):
    page = new_page(panel="steer")
    for name, value in (("bars", "2"), ("seconds", "5")):
        page.locator(f"[data-setting={name}]:visible").fill(value)
        page.locator(f"[data-setting={name}]:visible").press("Tab")
    assert page.locator("[data-setting=bars]:visible").input_value() == ""
    page.get_by_role("button", name="Leave all to the model").first.click()


@pytest.mark.parametrize("key", ["n", "compose"])
def test_composing_can_be_stopped(new_page, key):
    page = new_page(panel="compose")
    steer(page, bars=400)
    pieces = len(state(page, "pieces"))
    if key == "n":
        page.locator("#roll").focus()
        page.keyboard.press("n")
    else:
        page.locator("#compose").click()
    page.get_by_role("button", name="Stop", exact=True).first.click()
    until(page, "!document.querySelector('#compose').disabled")
    page.evaluate("studio.refresh()")
    assert len(state(page, "pieces")) == pieces
    steer(page)
