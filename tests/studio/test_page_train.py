"""Train: a folder is read and reported on; a training is started, watched, paused, stopped, and its model used."""

import json

import pytest
from pages import says, state, until, write_tune

CURVE = [[epoch, 3 - epoch / 4, 3.2 - epoch / 5] for epoch in (1, 2, 3, 4)]


@pytest.fixture
def music(tmp_path):
    """A folder of twelve small pieces, and a file that is none."""
    folder = tmp_path / "my music"
    folder.mkdir()
    for bars in range(2, 14):
        write_tune(folder / f"{bars}.mid", bars)
    (folder / "broken.mid").write_bytes(b"no music")
    return folder


def pretended(page, **training):
    """The server's answers about a training, which the test changes as it goes on; and what the page orders."""
    told = {
        "id": "t1", "folder": "/home/me/midi", "state": "running", "epoch": 1.0, "epochs": 5, "curve": CURVE[:1],
        "seconds_left": 95, "model": None, "words": "", **training,
    }  # fmt: skip
    orders = []

    def answer(route):
        path = route.request.url.partition("?")[0].partition("/api/trainings")[2]
        if path.endswith("/events"):
            body = f"event: progress\ndata: {json.dumps(told)}\n\n"
            return route.fulfill(status=200, content_type="text/event-stream", body=body)
        if route.request.method == "POST":
            orders.append(path)
            told["state"] = {"/pause": "paused", "/resume": "running", "/stop": "stopped"}[path[3:]]
        return route.fulfill(json=[told] if not path else told)

    page.route("**/api/trainings**", answer)
    return told, orders


def test_a_folder_is_reported_on(new_page, music):
    page = new_page(panel="train")
    page.locator("#train-folder").fill(str(music))
    page.locator("#train-read").click()
    page.locator("#train-report").get_by_text("12 pieces").first.wait_for()
    assert "broken.mid" in page.locator("#train-report").inner_text()
    assert page.locator("#train-start").is_enabled()
    page.locator("#train-folder").fill("/elsewhere")
    assert page.locator("#train-start").is_hidden()


def test_a_folder_that_is_not_there_is_refused_in_a_sentence(new_page):
    page = new_page(panel="train")
    page.locator("#train-folder").fill("/nowhere at all")
    page.locator("#train-folder").press("Enter")
    says(page, "/nowhere at all")


def test_a_training_is_watched_paused_and_stopped(new_page):
    page = new_page()
    told, orders = pretended(page)
    page.evaluate("studio.store.set({panel: 'train'})")
    card = page.locator("[data-training=t1]")
    card.get_by_text("1:35 left").wait_for()
    told.update(curve=CURVE, epoch=4.0)
    card.get_by_role("button", name="Pause").click()
    card.get_by_text("is paused").wait_for()
    assert len(card.locator("polyline.valid").get_attribute("points").split()) == 4
    card.get_by_role("button", name="Resume").click()
    card.get_by_role("button", name="Stop").click()
    card.get_by_text("was stopped").wait_for()
    assert orders == ["/t1/pause", "/t1/resume", "/t1/stop"]


def test_a_failed_training_says_why(new_page):
    page = new_page()
    pretended(page, state="failed", words="No space left on device.")
    page.evaluate("studio.store.set({panel: 'train'})")
    page.locator("[data-training=t1]").get_by_text("No space left on device.").wait_for()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_model_is_trained_and_composes(new_page, music, start_studio):
    at = start_studio()
    try:
        train_and_compose(new_page, music, at)
    finally:
        for training in at.ask("GET", "/api/trainings"):
            at.ask("POST", f"/api/trainings/{training['id']}/stop")


def train_and_compose(new_page, music, at):
    page = new_page(panel="train", at=at)
    page.locator("#train-folder").fill(str(music))
    page.locator("#train-read").click()
    page.locator("#panel-train summary").click()
    page.locator("[data-setting=epochs]:visible").fill("3")
    page.locator("[data-setting=preset]:visible").select_option("tiny")
    page.locator("#train-start").click()
    page.locator("[data-training]").wait_for()
    page.close()  # the training goes on
    page = new_page(panel="train", at=at)
    card = page.locator("[data-state=done]")
    card.wait_for(timeout=400_000)
    card.get_by_role("button", name="Compose with it").click()
    page.get_by_text("Composing with my music.").wait_for()
    assert page.locator("#model option:checked").inner_text() == "my music"
    page.evaluate("studio.store.set({panel: 'compose'})")
    page.locator("#compose").click()
    until(page, "studio.store.state.piece !== null")
    assert state(page, "piece.notes.length") > 0
