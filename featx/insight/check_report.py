"""The report of a check: one HTML file that shows what is wrong with images."""

from __future__ import annotations

import os
from typing import Any

from featx.files import check_writable
from featx.insight.page import write_page
from featx.insight.thumbnails import Album, side_for
from featx.inspection.check import Check
from featx.inspection.findings import KINDS, Finding
from featx.paths import shortener

_MOST = 60  # findings of a kind that are shown


def write_check_report(
    path: str | os.PathLike[str], check: Check, *, title: str, command: str = ""
) -> None:
    """Write what a check found as one HTML file, with thumbnails, that asks nothing of a network.

    Parameters
    ----------
    path : str or path
        The file to write.
    check : Check
        What `featx.check` found.
    title : str
        Its heading.
    command : str, default=""
        What to type to make the report again.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    check_writable(path)
    album = Album()
    page = {
        "title": title,
        "verdict": check.verdict,
        "notes": check.notes,
        "kinds": [_shown(check, kind, album) for kind in check.counts],
        "looked_for": [kind.title[1] for kind in KINDS.values()],
        "command": command,
    }
    write_page(path, "check.html.j2", page, album)


def _shown(check: Check, kind: str, album: Album) -> dict[str, Any]:
    """Gather the findings of a kind, those of pictures with their thumbnails."""
    found, known = check.of(kind), KINDS[kind]
    short = shortener(check.beginnings)
    side = side_for(sum(map(bool, (each.path for each in check.findings))))
    shown = [each for each in found if each.path][:_MOST]
    cards = []
    for each in shown:
        pictures = [(each.path, each.label)]
        pictures += [(each.other, each.other_label)] if each.other else []
        cards.append(
            {
                "pictures": [
                    {"thumb": album.place(path, side), "path": short(path), "label": label}
                    for path, label in pictures
                ],
                "detail": _said(each),
                "looks_like": None if each.other else each.other_label,
            }
        )
    return {
        "name": kind,
        "title": known.title[len(found) > 1],
        "about": known.about,
        "n": len(found),
        "said": [each.detail for each in found if not each.path],
        "cards": cards,
        "n_more": sum(bool(each.path) for each in found) - len(cards),
    }


def _said(finding: Finding) -> str:
    """Say what was found of pictures that are shown."""
    if finding.detail.endswith((" of", " as")):
        return f"{finding.detail} the other"
    return finding.detail.rstrip(":")
