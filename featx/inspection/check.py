"""The check of a folder: what is wrong with its images, before anything learns from them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from featx.backbones.backbone import Backbone
from featx.backbones.table import DEFAULT_BACKBONE
from featx.errors import ImageSourceError, NoImagesError, OptionError
from featx.features.calibration import calibrated
from featx.features.matrix import Features
from featx.features.options import (
    CheckOptions,
    EmbedOptions,
    SourceOptions,
    options_in,
    settle,
    takes,
)
from featx.features.request import Request, check_preprocess
from featx.features.run import run
from featx.features.saved import is_saved
from featx.files import cache_folder, written
from featx.images.decode import Outcome
from featx.images.division import PARTS
from featx.images.exclusion import NOTHING, is_of_exclusion, line_of_path
from featx.images.folder import ImageFolder
from featx.images.labels import Label, Labels
from featx.images.measures import Measures
from featx.images.memory import MemoryImage
from featx.images.source import ImageSource
from featx.images.survey import survey
from featx.images.table import check_no_source
from featx.inspection.copies import find_copies
from featx.inspection.findings import KINDS, Finding, check_kinds
from featx.inspection.folders import find_class_sizes, find_names, find_unknown_classes
from featx.inspection.labels import find_mislabelled
from featx.inspection.pictures import find_odd_pictures
from featx.inspection.shortcuts import find_shortcuts
from featx.learning.classes import divided_images, options_of_test, require_classes
from featx.paths import plain_path, shortener
from featx.storage.address import absolute
from featx.text import count, printable

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

_SHOWN = 5  # findings of a kind in the summary


@dataclass(frozen=True, eq=False)
class Check:
    """What was found wrong with images.

    Attributes
    ----------
    findings : tuple of Finding
        By kind, the gravest first.
    n_images, n_test : int
        The images that were looked at, and those of the test.
    classes : mapping of (str, int or bool) to int
        The classes, and how many images each has.
    root : str or None
        The folder, if it was one.
    notes : tuple of str
        What was left out as asked, and how parts of a data set were divided, a line each.
    """

    findings: tuple[Finding, ...]
    n_images: int
    n_test: int
    classes: Mapping[Label, int]
    root: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind, the gravest first."""
        counts = Counter(finding.kind for finding in self.findings)
        return {kind: counts[kind] for kind in KINDS if counts[kind]}

    @property
    def leave_out(self) -> tuple[str, ...]:
        """The paths that are better left out: what is broken, blank or there twice."""
        return tuple(dict.fromkeys(path for each in self.findings for path in each.leave_out))

    def of(self, kinds: str | Iterable[str]) -> tuple[Finding, ...]:
        """Return the findings of some kinds.

        Parameters
        ----------
        kinds : str or iterable of str
            Names of `counts`, such as "leak"; "any" means every kind.

        Returns
        -------
        tuple of Finding

        Raises
        ------
        OptionError
            There is no such kind.
        """
        names = check_kinds([kinds] if isinstance(kinds, str) else kinds)
        return tuple(finding for finding in self.findings if finding.kind in names)

    def to_frame(self) -> pd.DataFrame:
        """Return a table of one row per finding.

        Columns are `kind`, `path`, `label`, `detail`, `other` (the picture that it is a copy of),
        `other_label` (its class, or the class that the picture looks like) and `leave_out` (whether
        the picture is better left out).
        """
        import pandas as pd

        columns = ["kind", "path", "label", "detail", "other", "other_label", "leave_out"]
        rows = [
            {**asdict(finding), "leave_out": bool(finding.leave_out)} for finding in self.findings
        ]
        return pd.DataFrame(rows, columns=columns, dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """Return the findings as plain values."""
        return {
            "n_images": self.n_images,
            "n_test": self.n_test,
            "n_findings": len(self.findings),
            "counts": self.counts,
            "notes": list(self.notes),
            "classes": [{"class": name, "images": n} for name, n in self.classes.items()],
            "findings": [asdict(finding) for finding in self.findings],
            "leave_out": list(self.leave_out),
        }

    def write_list(self, path: str | os.PathLike[str]) -> None:
        """Write the paths to leave out, a line each; `exclude=` and `--exclude` take the file.

        What somebody should look at first stands there behind a #, which makes it a comment.
        Paths are relative to the folder, those outside it absolute.

        Parameters
        ----------
        path : str or path
            The file to write.

        Raises
        ------
        OptionError
            The name is one of a picture or a table, which could be lost.
        StorageError
            The file cannot be written.
        """
        check_no_source(path, "a list of paths")
        lines = [f"# {printable(self.verdict)}. Lines that begin with # leave nothing out."]
        done, short = set[str](), shortener(self.beginnings)
        for kind in self.counts:
            found = [each for each in self.of(kind) if each.path]
            lines += [""] if found else []
            for each in found:
                lines.append(f"# {kind}: {line_of(each, short)}")
                paths = each.leave_out or (each.path,)
                mark = "" if each.leave_out else "# "
                own = [
                    name for name in paths if name not in done and not isinstance(name, MemoryImage)
                ]
                lines += [mark + line_of_path(self._relative(name)) for name in own]
                done.update(own if each.leave_out else ())
        with written(path) as file:
            file.write_bytes("\n".join([*lines, ""]).encode("utf-8", "surrogateescape"))

    def _relative(self, path: str) -> str:
        """Return a path relative to the folder, with "/" between names, or else an absolute one."""
        whole = absolute(plain_path(path))
        start = os.path.join(absolute(self.root), "") if self.root is not None else None
        if start is None or not whole.startswith(start):
            return whole
        return whole.removeprefix(start).replace(os.sep, "/")

    def plot(self, kinds: str | Iterable[str] = "any", *, columns: int | None = None) -> Figure:
        """Draw the pictures that something was found about, copies beside their originals.

        Parameters
        ----------
        kinds : str or iterable of str, default="any"
            Of which findings, as for `of`.
        columns : int, optional
            Pictures in a row.

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        OptionError
            There is nothing to draw.
        """
        from featx.charts.gallery import plot_gallery

        found = self.of(kinds)
        shown = [
            (path, f"{each.kind}: {label}" if label is not None else each.kind)
            for each in found
            for path, label in ((each.path, each.label), (each.other, each.other_label))
            if path
        ]
        if not shown:
            raise OptionError("there is nothing to draw: no picture has such a finding")
        paths, titles = zip(*shown, strict=True)
        return plot_gallery(paths, titles, columns=columns)

    @property
    def summary(self) -> str:
        """The findings, those of a kind together, a line each."""
        return "\n".join([self.verdict, *self.notes, *self._lines(_SHOWN)])

    @property
    def verdict(self) -> str:
        """How much was looked at, and how many findings there are."""
        looked = count(self.n_images, "image")
        looked += f" of {count(len(self.classes), 'class')}" if self.classes else ""
        looked += f" and {count(self.n_test, 'test image')}" if self.n_test else ""
        found = count(len(self.findings), "finding") if self.findings else "nothing is wrong"
        return f"{looked}: {found}"

    def _lines(self, most: int) -> list[str]:
        """Say what was found, no more than so many of each kind."""
        lines = []
        short = shortener(self.beginnings)
        for kind, number in self.counts.items():
            title = KINDS[kind].title
            lines.append(f"{number:,} {title[number > 1]}:")
            several = self.of(kind)
            lines += [f"  {line_of(finding, short)}" for finding in several[:most]]
            if number > most:
                lines.append(f"  and {number - most:,} more")
        return lines

    @property
    def beginnings(self) -> list[str]:
        """Paths that tell what all of them share: the folder, if there is one, in any case."""
        own = [path for each in self.findings for path in (each.path, each.other) if path]
        return [*own, *([os.path.join(self.root, "")] if self.root else [])]

    def __repr__(self) -> str:
        return f"Check({self.verdict})"

    def _repr_html_(self) -> str:
        lines = "".join(f"<li>{escape(line.strip())}</li>" for line in self._lines(_SHOWN))
        return f"<p><b>{escape(self.verdict)}</b></p><ul>{lines}</ul>"


def line_of(finding: Finding, short: Callable[[str], str]) -> str:
    """Write a finding on one line, paths as `short` writes them."""
    words = [f"{_named(finding.path, finding.label, short)}:"] if finding.path else []
    words.append(printable(finding.detail))
    if finding.other:
        words.append(_named(finding.other, finding.other_label, short))
    elif finding.other_label is not None:
        words.append(printable(finding.other_label))
    return " ".join(words)


def _named(path: str, label: Label | None, short: Callable[[str], str]) -> str:
    """Write a path, and its class unless that is one of its folders."""
    text = short(path)
    known = label is None or str(label) in Path(path).parts[:-1]
    return text if known else f"{text} ({printable(label)})"


@takes(CheckOptions)
def check(
    source: ImageSource,
    *,
    labels: Labels = None,
    test: ImageSource = None,
    backbone: str | Backbone = DEFAULT_BACKBONE,
    **options: Unpack[CheckOptions],
) -> Check:
    """Look for what is wrong with images before anything learns from them.

    Files that cannot be read; copies, exact and nearly, in one class, in several, and in training
    and test; pictures that may be mislabelled; blank, dark, bright, blurred and small ones, or of
    another shape; classes that are empty, tiny or unequal; names that look alike; and whatever
    tells classes apart without looking at what the pictures show. Nothing is changed.

    Parameters
    ----------
    source : what `embed` takes
        The images. Without classes, what concerns these is not looked for.
    labels : sequence, array, DataFrame or path of a table, optional
        As for `embed`.
    test : what `embed` takes, optional
        Images to test with: they are looked at, too, and compared with the others. By default those
        that the source has for it, such as a folder called test.
    backbone : str or Backbone, default="efficientnet_lite0"
        The network whose features tell copies and wrong labels. They are kept in the cache.
    **options : expanded
        Options of embedding; see `featx.features.options.CheckOptions`.

    Returns
    -------
    Check

    Raises
    ------
    ImageSourceError
        There are no images, none can be read, or the sub-folders are parts of a data set without
        classes in them.
    OptionError
        An option has a value that it cannot have.
    WeightsError
        The weights of the network are not there.
    """
    for each in (source, test):
        if isinstance(each, Features) or is_saved(each):
            raise ImageSourceError("features cannot be looked at: expected the pictures themselves")
    settled = settle(options)
    reading = options_in(SourceOptions, settled)
    division = divided_images(source, labels, **reading)
    images, notes = _without_notes(division.to_learn(measuring=test is None))
    tested = division.test
    require_classes(images)
    if test is not None:
        tested, more = _without_notes(ImageFolder.of(test, **options_of_test(test, reading)))
        notes += [note for note in more if not note.startswith(NOTHING)]
        require_classes(tested)
    check_preprocess([backbone], settled["preprocess"])
    (request,) = calibrated([Request.of(backbone, settled)], images, settled)
    both = [_Read.of(each, request, settled) for each in (images, tested) if each is not None]
    paths = [path for each in both for path in each.images.paths]
    folder = None if settled["cache"] is False else cache_folder(settled["cache"])
    measures = survey(paths, folder, progress=settled["progress"])
    found = _findings(both[0], both[1] if tested else None, measures)
    order = {kind: number for number, kind in enumerate(KINDS)}
    counts = Counter(label for label in images.labels if label is not None)
    return Check(
        findings=tuple(sorted(found, key=lambda finding: order[finding.kind])),
        n_images=len(images),
        n_test=len(tested) if tested else 0,
        classes={name: counts[name] for name in images.classes},
        root=images.root,
        notes=tuple(notes),
    )


@dataclass(frozen=True, eq=False)
class _Read:
    """Images, and what came of reading them."""

    images: ImageFolder
    outcomes: tuple[Outcome, ...]
    features: Features | None  # None where no image can be read

    @classmethod
    def of(cls, images: ImageFolder, request: Request, settled: EmbedOptions) -> _Read:
        try:
            features = run(images, [request], settled)[0]
        except NoImagesError as error:
            return cls(images, error.outcomes, None)
        return cls(images, features.outcomes, features)

    @property
    def labels(self) -> dict[str, Label | None]:
        """The label of each image by its path."""
        return dict(zip(self.images.paths, self.images.labels, strict=True))

    @property
    def unreadable(self) -> list[Finding]:
        """The files that cannot be read."""
        labels = self.labels
        return [
            Finding("unreadable", each.reason, each.path, labels.get(each.path))
            for each in self.outcomes
            if not each.ok
        ]

    def odd(self, measures: Mapping[str, Measures]) -> list[Finding]:
        """The pictures that are unlike the others."""
        own = {path: measures[path] for path in self.images.paths if path in measures}
        return find_odd_pictures(own, self.labels)


def _without_notes(images: ImageFolder) -> tuple[ImageFolder, list[str]]:
    """Take from the notes of images those of what was left out or divided."""
    told = [note for note in images.notes if is_of_exclusion(note) or PARTS in note]
    rest = tuple(note for note in images.notes if note not in told)
    return replace(images, notes=rest), told


def _findings(read: _Read, tested: _Read | None, measures: Mapping[str, Measures]) -> list[Finding]:
    """Look for everything."""
    found, odd = read.unreadable, read.odd(measures)
    if tested is not None:
        found += tested.unreadable + find_unknown_classes(read.images, tested.images)
        found += find_names(tested.images)
        odd += tested.odd(measures)
    failed = [finding.path for finding in found if finding.kind == "unreadable"]
    found += odd + find_class_sizes(read.images, failed) + find_names(read.images)
    if read.features is None:
        return found
    # Of what is blank there is nothing else to say, and what is small looks like anything.
    blank = {finding.path for finding in odd if finding.kind == "blank"}
    small = {finding.path for finding in odd if finding.kind == "small"}
    copies, groups = find_copies(read.features, tested.features if tested else None, measures)
    copies = [each for each in copies if not {each.path, each.other} <= blank]
    doubted = {path for each in copies if each.kind == "contradiction" for path in each.leave_out}
    pairs = zip(read.features.paths, read.features.labels, strict=True)
    doubted |= blank | small
    judged = [path not in doubted and label is not None for path, label in pairs]
    some = read.features.select(judged)
    if len(some.classes) > 1:
        found += find_mislabelled(some, groups[judged])
        found += find_shortcuts(some, groups[judged], measures)
    return found + copies
