"""The description of features in a file: plain values on what made them, and back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from featx.features.formats import about_calibrations, calibrations_of
from featx.features.recipe import Recipe
from featx.features.whereabouts import Whereabouts


def description_of(
    fields: Mapping[str, Any], outcomes: Any, place: Whereabouts | None
) -> dict[str, Any]:
    """Describe features, whose fields are given by name, by all but their rows.

    `outcomes` and `place`, where their pictures are, are said as given.
    """
    recipe: Recipe | None = fields["recipe"]
    about: dict[str, Any] = {
        "recipe": recipe.to_dict() if recipe else None,
        "outcomes": outcomes,
        "n_other": fields["n_other"],
        "weights": fields["weights"],
    }
    if fields["notes"]:
        about["notes"] = list(fields["notes"])
    if fields["name"]:
        about["name"] = fields["name"]
    if fields["calibrations"]:
        about |= about_calibrations(fields["calibrations"])
    about["pictures"] = None if place is None else asdict(place)
    if not math.isnan(fields["images_per_second"]):
        about["images_per_second"] = fields["images_per_second"]
    return about


def fields_of(about: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a description tells of, by name.

    One that says what it cannot is a `FeatxError` or an error of lookups, types and values.
    """
    name = about.get("name")
    return {
        "recipe": None if about["recipe"] is None else Recipe.from_dict(about["recipe"]),
        "n_other": int(about["n_other"]),
        "weights": str(about["weights"]),
        "notes": tuple(map(str, about.get("notes", ()))),
        "name": name and str(name),
        "images_per_second": float(about.get("images_per_second", math.nan)),
        "calibrations": calibrations_of(dict(about)),
    }
