"""What `redo` and `humanise` have in common: a file that is made anew, in several versions that are ranked."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melodygru.cli import outputs, screen

if TYPE_CHECKING:
    from melodygru.compose.composer import Composer


def remake(
    make: Callable[[Composer, Any, Callable[[float], None]], Sequence[Any]],
    file: Path,
    model: Path | None,
    settings: Any,
    *,
    doing: str,
    about: Callable[[Composer, Any], dict[str, Any]],
    kinds: Sequence[str],
    output_dir: Path,
    score_file: Path | None,
    soundfont: Path | None,
    show_it: bool,
    as_json: bool,
) -> None:
    """Make a file anew, write all versions with what was asked for beside them, and end the command.

    Parameters
    ----------
    make : makes the versions, of a composer, the settings and what is called with the share that is done
    settings : with a seed, or a new one is drawn
    doing : what the progress line says is done
    about : what a version's JSON has beside its files and size
    kinds : which of `outputs.KINDS`
    """
    from melodygru.compose.composer import Composer
    from melodygru.model import checkpoint

    path = checkpoint.find(model)
    composer = Composer.load(path)
    if settings.seed is None:
        settings = replace(settings, seed=secrets.randbits(32))
    screen.say(f"model {screen.name(path)}, seed {settings.seed}")
    with screen.ProgressLine() as line:

        def show(share: float) -> None:
            left = screen.left(line.elapsed_s * (1 / share - 1)) if share else ""
            line.show(lambda: f"{doing}: {share:.0%}, {left}")

        made = make(composer, settings, show)
        line.clear()
    outputs.make_folder(output_dir)
    paths = outputs.write_midi(made, output_dir, f"{file.stem}-{settings.seed}")
    described = [
        outputs.described(piece, written) | piece.as_dict() | {"reason": piece.reason} | about(composer, piece)
        for piece, written in zip(made, paths, strict=True)
    ]
    problems = outputs.write_others(
        made,
        paths,
        described,
        kinds=kinds,
        scores=outputs.score_paths(score_file, len(made)),
        soundfont=soundfont,
        show_it=show_it,
        as_json=as_json,
    )
    if as_json:
        result = {"model": str(path), "seed": settings.seed, "file": str(file), "outputs": described}
        screen.result_json({**result, "problems": problems})
    outputs.end(described, kinds, score_file)


__all__ = ["remake"]
