"""Every command says what it does, shows an example that works, and is in README."""

import re
import shlex
from pathlib import Path

import click
import pytest

import featx
from featx.cli.main import cli

README = Path(featx.__file__).parents[1] / "README.md"


def _commands(group=cli, path=("featx",)):
    yield path, group
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield from _commands(command, (*path, name))


COMMANDS = {" ".join(path): command for path, command in _commands()}
OPTIONS = {
    f"{path} {option.opts[0]}": option
    for path, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option)
}


def test_the_commands_are_those_that_were_promised():
    names = [path.removeprefix("featx").strip() for path in COMMANDS]
    assert sorted(names) == [
        *("", "backbones", "cache", "cache clear", "cache info", "cache verify"),
        *("compare", "demo", "embed", "evaluate", "label", "predict", "train", "tune"),
    ]


@pytest.mark.parametrize("path", COMMANDS)
@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_a_command_does_with_an_example(featx_run, path, flag):
    ended = featx_run(*path.split()[1:], flag)
    assert ended.err == ""
    text = " ".join(ended.out.split())
    assert text.startswith(f"Usage: {path} [OPTIONS]")
    assert COMMANDS[path].help.partition("\n")[0] in text
    assert re.search(rf"Examples?: {path}", text), "there is no example"
    assert max(map(len, ended.out.splitlines())) <= 80


def examples() -> list[str]:
    lines = [f"{command.help}\n{command.epilog or ''}" for command in COMMANDS.values()]
    return re.findall(r"^(?:Example:)? *(featx .*)$", "\n".join(lines), flags=re.M)


@pytest.mark.parametrize("example", examples())
def test_an_example_has_options_that_exist_and_all_that_are_needed(example):
    words = shlex.split(example)[1:]
    command = cli
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    assert command.make_context(example, words).params


def test_there_is_an_example_for_every_command():
    shown = " ".join(examples())
    missing = [path for path in COMMANDS if f"{path} " not in f"{shown} "]
    assert missing == []


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_says_what_it_is_for(name):
    text = (OPTIONS[name].help or "").partition("  [default: ")[0]
    assert len(text) >= 10, f"{name} has no help"
    assert text.endswith("."), text


@pytest.mark.parametrize("path", [path for path in COMMANDS if path.count(" ") == 1])
def test_the_list_of_commands_shows_whole_sentences(featx_run, path):
    line = next(
        line
        for line in featx_run("--help").out.splitlines()
        if line.split()[:1] == [path.split()[1]]
    )
    assert line.endswith("."), line
    assert not line.endswith("..."), line


@pytest.mark.skipif(not README.exists(), reason="there is no README.md yet")
@pytest.mark.parametrize("path", COMMANDS)
def test_readme_mentions_every_command(path):
    assert path in README.read_text()


def test_featx_alone_prints_the_help(featx_run):
    assert featx_run().out == featx_run("--help").out


def test_cache_alone_is_cache_info(featx_run):
    assert featx_run("cache").out == featx_run("cache", "info").out


def test_the_version_is_that_of_the_package(featx_run):
    assert featx_run("--version").out == f"featx {featx.__version__}\n"


RUN_OPTIONS = {"--cache", "--no-cache", "--on-error", "--batch-size", "--engine", "--json"}
EMBEDDING_OPTIONS = RUN_OPTIONS | {
    "--backbone",
    "--pooling",
    "--layer",
    "--input-size",
    "--resize",
    "--interpolation",
    "--decode",
    "--precision",
    "--fast",
    "--weights",
    "--out",
}


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("backbones", {"--json"}),
        ("embed", EMBEDDING_OPTIONS),
        ("train", EMBEDDING_OPTIONS | {"--classifier", "--test", "--report"}),
        (
            "compare",
            (EMBEDDING_OPTIONS - {"--backbone", "--pooling"})
            | {"--backbones", "--poolings", "--classifiers", "--out", "--report"},
        ),
        (
            "tune",
            RUN_OPTIONS
            | {"--budget", "--out", "--test", "--report", "--backbones", "--classifiers"}
            | {"--fast", "--weights"},
        ),
        ("predict", RUN_OPTIONS | {"--out", "--gallery", "--weights"}),
        ("evaluate", RUN_OPTIONS | {"--weights", "--report"}),
        ("label", RUN_OPTIONS | {"--top", "--backbone", "--weights", "--fast"}),
        ("cache info", {"--json"}),
        ("cache clear", {"--older-than", "--json"}),
        ("cache verify", {"--json"}),
        ("demo", {"--out", "--json"}),
    ],
)
def test_the_options_that_were_promised_are_there(command, options):
    found = {opt for option in COMMANDS[f"featx {command}"].params for opt in option.opts}
    assert options <= found, options - found


@pytest.mark.parametrize("path", COMMANDS)
def test_help_lists_every_option_with_what_it_may_be(featx_run, path):
    text = " ".join(featx_run(*path.split()[1:], "--help").out.split())
    for option in COMMANDS[path].params:
        for name in [*option.opts, *option.secondary_opts]:
            assert not name.startswith("--") or f"{name} " in text, f"{name} is not in the help"
        if isinstance(option.type, click.Choice):
            assert f"[{'|'.join(option.type.choices)}]" in text, f"{option.name}: {text}"


def test_the_help_says_who_chooses_the_batch_size(featx_run):
    assert "[default: what suits the engine]" in " ".join(featx_run("embed", "-h").out.split())
