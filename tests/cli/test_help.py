"""Every command says what it does, shows an example that works, and is in README."""

import inspect
import pkgutil
import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

import featx
import featx.cli
from featx.cli.commands import cli
from featx.cli.help import GROUPS
from featx.features.options import OPTIONS as EMBEDDING
from featx.features.options import RunOptions, options_of

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


def test_each_module_that_holds_a_command_is_offered():
    found = set()
    for each in pkgutil.iter_modules(featx.cli.__path__):
        command = getattr(import_module(f"featx.cli.{each.name}"), each.name, None)
        found |= {each.name} if isinstance(command, click.Command) else set()
    assert found == set(cli.commands)


@pytest.mark.skipif(not README.exists(), reason="there is no README.md here")
def test_every_command_that_readme_shows_is_there():
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", README.read_text(), flags=re.DOTALL))
    shown = re.findall(r"^`?featx ([a-z]+)", code, flags=re.MULTILINE)
    assert len(set(shown)) >= 8, shown
    assert set(shown) - set(cli.commands) == set()


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


@pytest.mark.skipif(not README.exists(), reason="there is no README.md here")
@pytest.mark.parametrize("path", COMMANDS)
def test_readme_mentions_every_command(path):
    assert path in README.read_text()


def test_featx_alone_prints_the_help(featx_run):
    assert featx_run().out == featx_run("--help").out


def test_cache_alone_is_cache_info(featx_run):
    assert featx_run("cache").out == featx_run("cache", "info").out


def test_the_version_is_that_of_the_package(featx_run):
    assert featx_run("--version").out == f"featx {featx.__version__}\n"


# What a command calls. The shell has its own words for what goes in and out, and leaves out what
# only a session needs.
FUNCTIONS = {
    "featx embed": featx.embed,
    "featx train": featx.train,
    "featx compare": featx.compare,
    "featx tune": featx.tune,
    "featx label": featx.label,
    "featx predict": featx.ImageClassifier.predictions,
    "featx evaluate": featx.ImageClassifier.evaluate,
    "featx explain": featx.ImageClassifier.explain,
}
AT_THE_SHELL = {
    "folder",
    "paths",
    "model",
    "out",
    "report",
    "gallery",
    "as_json",
    "within",
    "plot",
    "map",
    "curves",
}
AT_THE_SHELL |= {"explain", "files_from", "copy_to", "quiet", "verbose"}
IN_PYTHON = {"self", "source", "training", "validation", "progress"}
IN_PYTHON |= {"session", "folds", "repeats", "seed", "n_jobs"}


def parameters_of(function) -> dict[str, object]:
    """Return the defaults of a function's parameters by name, those of `**options` too."""
    found = inspect.signature(function).parameters
    defaults = {name: each.default for name, each in found.items() if name != "options"}
    if "options" in found:
        defaults |= {name: each.default for name, each in options_of(RunOptions).items()}
    return defaults


@pytest.mark.parametrize("path", FUNCTIONS)
def test_a_command_has_every_option_of_its_function_and_no_other(path):
    found = {option.name for option in COMMANDS[path].params}
    wanted = set(parameters_of(FUNCTIONS[path])) - IN_PYTHON
    if "model" in found:
        wanted.add("weights")  # of `featx.load`
    assert found - (AT_THE_SHELL - wanted) == wanted


@pytest.mark.parametrize("path", FUNCTIONS)
def test_an_option_has_the_choices_and_the_default_of_its_function(path):
    defaults = parameters_of(FUNCTIONS[path])
    checked = []
    for option in COMMANDS[path].params:
        known = EMBEDDING.get(option.name)
        if known is None or option.name not in defaults:
            continue
        checked.append(option.name)
        if known.choices:
            assert tuple(option.type.choices) == known.choices, option.name
        if defaults[option.name] not in (None, False):
            assert option.default == defaults[option.name], option.name
    assert {"engine", "cache", "on_error"} <= set(checked)


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_can_print_json(path):
    if path != "featx":
        assert "--json" in {flag for option in COMMANDS[path].params for flag in option.opts}


@pytest.mark.parametrize("path", [path for path in COMMANDS if "cache" in path])
def test_the_commands_of_the_cache_take_the_folder_that_others_take(path):
    [option] = [option for option in COMMANDS[path].params if option.name == "cache"]
    assert option.help == OPTIONS["featx embed --cache"].help


@pytest.mark.parametrize("path", COMMANDS)
def test_help_lists_every_option_with_what_it_may_be(featx_run, path):
    text = " ".join(featx_run(*path.split()[1:], "--help").out.split())
    for option in COMMANDS[path].params:
        for name in [*option.opts, *option.secondary_opts]:
            if name.startswith("--"):
                assert f"{name} " in text, f"{name} is not in the help"
        if isinstance(option.type, click.Choice):
            assert f"[{'|'.join(option.type.choices)}]" in text, f"{option.name}: {text}"


def groups_of(text: str) -> dict[str, list[str]]:
    """Return the long options that a help shows in each group."""
    parts = re.split(r"^(\w+):\n", text, flags=re.M)[1:]
    return {
        name: re.findall(r"^  (?:-\w, )?(--[a-z-]+)", part, flags=re.M)
        for name, part in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_help_shows_options_in_groups(featx_run):
    found = groups_of(featx_run("train", "--help").out)
    assert list(found) == [name for name in GROUPS if name not in ("Access", "Limits")]
    for name, option in EMBEDDING.items():
        if option.shell:
            assert f"--{name.replace('_', '-')}" in found[option.group], name
    assert {"--out", "--json", "--quiet"} <= set(found["Output"])
    assert found["Cache"] == ["--cache", "--no-cache"]
    assert "--backbone" in found["Network"]
    assert list(groups_of(featx_run("cache", "clear", "--help").out)) == [
        *("Options", "Output", "Cache")
    ]


@pytest.mark.parametrize("path", [path for path in COMMANDS if path != "featx"])
def test_every_command_may_be_quiet_or_verbose(path):
    if not isinstance(COMMANDS[path], click.Group):
        assert {"quiet", "verbose"} <= {option.name for option in COMMANDS[path].params}


def test_the_help_says_who_chooses_the_batch_size(featx_run):
    assert "[default: what suits the engine]" in " ".join(featx_run("embed", "-h").out.split())


def test_the_help_of_a_service_has_groups_of_its_own(featx_run):
    found = groups_of(featx_run("serve", "--help").out)
    assert list(found) == [name for name in GROUPS if name not in ("Pictures", "Ray")]
    assert {"--host", "--port", "--token"} <= set(found["Access"])
