"""The figure of a gallery, which a notebook shows wherever it is the value of a cell."""

from __future__ import annotations

from io import BytesIO

from matplotlib.figure import Figure


class GalleryFigure(Figure):
    """A figure apart from pyplot, so that it is shown once and goes when nobody holds it."""

    def _repr_png_(self) -> bytes:
        file = BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()
