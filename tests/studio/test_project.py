"""A project keeps every step, whatever ends the studio; one studio at a time holds it."""

import json
import shutil

import pytest
from serving import tune

from melodygru.errors import MidiError, SettingError
from melodygru.midi.editing import Editor
from melodygru.studio import pieces as pieces_module
from melodygru.studio.pieces import Piece
from melodygru.studio.project import Held, Project
from melodygru.studio.refusals import Conflict, Missing, Refused
from melodygru.studio.views import Part, View


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def without_note(data, number=0):
    view = View(data)
    stays = [at != number for at in range(len(view.notes))]
    import numpy as np

    return Editor(data).exchange(np.array(stays), view.notes[:0])


def notes(piece):
    return len(piece.view.notes)


def test_undo_goes_back_to_the_first_step_and_forward_again(project):
    piece = project.add(tune(), "Tune", "brought")
    files = [piece.data]
    for _ in range(30):
        piece.change(piece.revision, without_note(piece.data) if notes(piece) > 1 else tune(2))
        files.append(piece.data)
    for data in reversed(files[:-1]):
        piece.move(piece.revision, -1)
        assert piece.data == data == piece.path.read_bytes()
    assert not piece.can_undo
    with pytest.raises(Refused, match="nothing to undo"):
        piece.move(piece.revision, -1)
    for data in files[1:]:
        piece.move(piece.revision, 1)
        assert piece.data == data
    with pytest.raises(Refused, match="nothing to do again"):
        piece.move(piece.revision, 1)


def test_a_change_after_an_undo_forgets_what_was_undone(project):
    piece = project.add(tune(), "Tune", "brought")
    piece.change(piece.revision, without_note(piece.data))
    piece.move(piece.revision, -1)
    piece.change(piece.revision, tune(2))
    assert not piece.can_redo and piece.can_undo
    assert len(list((project.folder / "history" / piece.id).glob("*.mid"))) == 2


def test_a_change_that_changes_nothing_is_no_step(project):
    piece = project.add(tune(), "Tune", "brought")
    before = piece.revision
    piece.change(piece.revision, piece.data)
    assert piece.revision == before and not piece.can_undo


def test_a_revision_from_before_is_refused_with_the_piece_as_it_is(project):
    piece = project.add(tune(), "Tune", "brought")
    old = piece.revision
    piece.change(old, without_note(piece.data))
    with pytest.raises(Conflict, match="Another tab changed this piece") as refused:
        piece.change(old, tune(1))
    assert refused.value.beside["piece"]["revision"] == piece.revision
    for revision in (None, "1", 1.0, True):
        with pytest.raises(Refused, match="no revision"):
            piece.check(revision)


def test_everything_is_there_when_the_folder_is_opened_again(project):
    piece = project.add(tune(), "Tune", "brought")
    piece.change(
        piece.revision, without_note(piece.data), [Part(73, "Melody", (1, 0, 73), True), Part(33, "", (2, 1, 33))]
    )
    piece.rename("Another name")
    project.keep_settings(0, {"bars": 4})
    again = Project(project.folder)
    found = again[piece.id]
    assert found.summary() == piece.summary() and found.as_dict() == piece.as_dict()
    assert found.view.parts[0].locked and found.view.parts[0].name == "Melody"
    found.move(found.revision, -1)
    assert found.data == tune()
    assert again.settings() == {"revision": 1, "settings": {"bars": 4}}


class Crash(Exception):
    """The studio ends here."""


@pytest.mark.parametrize("at", [0, 1, 2])
@pytest.mark.parametrize("change", ["edit", "undo", "add"])
def test_a_crash_between_two_files_loses_no_step(project, monkeypatch, at, change):
    """Of a change the step, the piece and the state are written, in this order: the crash comes before one of them."""
    piece = project.add(tune(), "Tune", "brought")
    piece.change(piece.revision, without_note(piece.data))
    before = {tune(), piece.data}
    written, real = [], pieces_module.atomic_write

    def failing(path, *rest, **options):
        written.append(path)
        if len(written) > at:
            raise Crash
        return real(path, *rest, **options)

    monkeypatch.setattr(pieces_module, "atomic_write", failing)
    after = tune(2)
    try:
        if change == "edit":
            piece.change(piece.revision, after)
        elif change == "undo":
            piece.move(piece.revision, -1)
        else:
            project.add(after, "New", "brought")
    except Crash:
        pass
    monkeypatch.setattr(pieces_module, "atomic_write", real)
    again = Project(project.folder)
    assert again.problems == []
    for found in again.pieces():
        found.view.as_dict()
        assert found.data in {*before, after}
    found = again[piece.id]
    seen = {found.data}
    while found.can_undo:
        found.move(found.revision, -1)
        seen.add(found.data)
    while found.can_redo:
        found.move(found.revision, 1)
        seen.add(found.data)
    assert before <= seen


def test_a_file_that_was_exchanged_from_outside_is_a_step(project):
    piece = project.add(tune(), "Tune", "brought")
    piece.path.write_bytes(tune(2))
    found = Project(project.folder)[piece.id]
    assert found.data == tune(2) and found.can_undo and found.revision > piece.revision
    found.move(found.revision, -1)
    assert found.data == tune()


def test_a_file_that_is_put_there_is_a_piece(project):
    (project.folder / "pieces" / "mine.mid").write_bytes(tune())
    (project.folder / "pieces" / "No piece.mid").write_bytes(tune())
    (project.folder / "pieces" / "broken.mid").write_bytes(b"no music")
    found = Project(project.folder)
    assert [piece.id for piece in found.pieces()] == ["mine"]
    assert len(found.problems) == 2 and all("is left out" in problem for problem in found.problems)


@pytest.mark.parametrize("state", ["", "{", "[]", '{"steps": []}', '{"steps": [{}], "at": 0}', "null", '{"at": 7}'])
def test_a_damaged_state_costs_the_history_alone(project, state):
    piece = project.add(tune(), "Tune", "brought")
    (project.folder / "history" / piece.id / "state.json").write_text(state)
    found = Project(project.folder)[piece.id]
    assert found.data == tune() and json.loads((project.folder / "history" / piece.id / "state.json").read_text())


def test_a_full_disk_leaves_the_piece_as_it_was(project, monkeypatch):
    piece = project.add(tune(), "Tune", "brought")
    revision = piece.revision

    def full(path, *_, **__):
        raise MidiError(f"cannot write {path}: No space left on device; free some space there")

    monkeypatch.setattr(pieces_module, "atomic_write", full)
    with pytest.raises(MidiError, match="free some space"):
        piece.change(revision, tune(2))
    assert (piece.data, piece.revision, piece.can_undo) == (tune(), revision, False)
    assert notes(piece) == len(View(tune()).notes)


def test_what_is_deleted_comes_back_with_its_history(project):
    first, second = project.add(tune(), "First", "brought"), project.add(tune(2), "Second", "brought")
    first.change(first.revision, without_note(first.data))
    for piece in (first, second):
        project.delete(piece.id)
    with pytest.raises(Missing, match="no longer there"):
        project[first.id]
    again = Project(project.folder)
    assert again.pieces() == []
    assert again.undelete().name == "Second" and again.undelete().name == "First"
    assert again[first.id].can_undo
    with pytest.raises(Refused, match="Nothing was deleted"):
        again.undelete()


def test_a_deleted_piece_does_not_take_the_place_of_a_new_one(project):
    old = project.add(tune(), "Tune", "brought")
    project.delete(old.id)
    new = project.add(tune(2), "Tune", "brought")
    back = project.undelete()
    assert new.id != back.id and new.data == tune(2) and back.data == tune()


def test_names_and_ids_are_each_ones_own(project):
    names = ["Tune", "Tune", "Tüne", "音楽", "../..", "a" * 300, "CON"]
    made = [project.add(tune(1), name, "brought") for name in names]
    assert len({piece.id for piece in made}) == len({piece.name for piece in made}) == len(names)
    assert all(piece.path.parent == project.folder / "pieces" for piece in made)


def test_one_studio_holds_a_folder(project):
    with project.held(), pytest.raises(Held) as other, Project(project.folder).held():
        pass
    assert other.value.process.isdecimal()
    with Project(project.folder).held():
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="--folder .*expected a folder that can be written"):
        Project(tmp_path / "file" / "project")


def test_a_project_can_be_moved(project, tmp_path):
    piece = project.add(tune(), "Tune", "brought")
    piece.change(piece.revision, tune(2))
    shutil.move(project.folder, tmp_path / "elsewhere")
    found = Piece.found(tmp_path / "elsewhere", piece.id)
    assert found.can_undo and found.data == tune(2)
