"""`featx cache`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from featx.cli.options import cache_option, json_option
from featx.cli.output import count, emit, size, table
from featx.features.store import cache_folder

if TYPE_CHECKING:
    from featx.features.cache import CachedRecipe


@click.group(invoke_without_command=True, epilog="Example: featx cache info")
@cache_option
@json_option
@click.pass_context
def cache(context: click.Context, cache: str | None, as_json: bool) -> None:
    """Look at the cache, check it, or make room in it.

    Without a command it does what `info` does.
    """
    options = {"cache": cache, "as_json": as_json}
    if context.invoked_subcommand is None:
        context.invoke(info, **options)
    else:  # options before the command count as those behind it
        context.default_map = {context.invoked_subcommand: options}


@cache.command(epilog="Example: featx cache info --json")
@cache_option
@json_option
def info(cache: str | None = None, as_json: bool = False) -> None:
    """List what is stored for each recipe."""
    from featx.features.cache import contents

    folder = cache_folder(cache)
    recipes = contents(folder)
    document = {
        "cache": str(folder),
        "recipes": [
            {
                "fingerprint": recipe.fingerprint,
                "rows": recipe.rows,
                "bytes": recipe.bytes,
                "damaged": [str(damage.path) for damage in recipe.damages],
                "days_old": None if (days := _days_old(recipe)) is None else round(days, 2),
                "settings": recipe.settings,
            }
            for recipe in recipes
        ],
    }
    rows = [
        [
            recipe.fingerprint[:12],
            f"{recipe.rows:,}",
            size(recipe.bytes),
            "-" if (days := _days_old(recipe)) is None else count(round(days), "day"),
            _settings(recipe.settings) + (", DAMAGED" if recipe.damages else ""),
        ]
        for recipe in recipes
    ]
    total = sum(recipe.bytes for recipe in recipes)
    lines = [f"{folder}: {count(len(recipes), 'recipe')}, {size(total)}"]
    if rows:
        header = ["recipe", "rows", "size", "age", "settings"]
        lines.append(table(header, rows, right=("rows", "size", "age")))
    emit(document, "\n".join(lines), as_json=as_json)


@cache.command(epilog="Example: featx cache clear resnet50 --older-than 30")
@click.argument("recipes", nargs=-1, metavar="[RECIPE]...")
@click.option(
    "--older-than", type=click.FloatRange(min=0), metavar="DAYS", help="Only what is older."
)
@click.option("--all", "everything", is_flag=True, help="Remove every recipe.")
@cache_option
@json_option
def clear(
    recipes: tuple[str, ...],
    older_than: float | None,
    everything: bool,
    cache: str | None,
    as_json: bool,
) -> None:
    """Remove features: by recipe, by age, or all.

    RECIPE is a fingerprint, or its first characters, or a backbone.
    """
    from featx.features.cache import clear as clear_cache

    if not recipes and older_than is None and not everything:
        raise click.UsageError(
            "nothing to remove was named: expected RECIPE, --older-than or --all"
        )
    if recipes and everything:
        raise click.UsageError(f"--all and {recipes[0]} exclude each other")
    folder = cache_folder(cache)
    removed = clear_cache(folder, recipes, older_than)
    document = {"cache": str(folder), "bytes_removed": removed}
    emit(document, f"{folder}: removed {size(removed)}", as_json=as_json)


@cache.command(epilog="Example: featx cache verify")
@cache_option
@json_option
def verify(cache: str | None, as_json: bool) -> None:
    """Check every vector; status 1 where one is damaged."""
    from featx.features.cache import contents

    folder = cache_folder(cache)
    recipes = contents(folder)
    damages = [damage for recipe in recipes for damage in recipe.damages]
    rows = sum(recipe.rows for recipe in recipes)
    lines = [f"{folder}: {count(rows, 'vector')} intact"]
    lines += [f"damaged: {damage.path.relative_to(folder)}: {damage.reason}" for damage in damages]
    if damages:
        lines.append("the next run embeds the images of damaged files again and removes them")
    document = {
        "cache": str(folder),
        "rows": rows,
        "damaged": [{"path": str(each.path), "reason": each.reason} for each in damages],
    }
    emit(document, "\n".join(lines), as_json=as_json)
    if damages:
        sys.exit(1)


def _days_old(recipe: CachedRecipe) -> float | None:
    return (time.time() - recipe.newest) / 86_400 if recipe.newest else None


def _settings(settings: dict | None) -> str:
    if settings is None:
        return "unreadable recipe.json"
    layer = f" at {settings['layer']}" if settings.get("layer") else ""
    return (
        f"{settings.get('backbone')}{layer}, {settings.get('pooling')}, "
        f"{settings.get('input_size')} px {settings.get('resize')} "
        f"{settings.get('interpolation')}, weights {str(settings.get('weights'))[:12]}"
    )
