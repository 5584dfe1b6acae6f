"""JSON lines as a system."""

from lake.systems.protocol import Source, System
from toy_lines.config import LinesDataset, LinesSource


class Lines(System):
    """Exports and queries; no snapshots."""

    name = "lines"
    title = "JSON lines"
    rows = "lines"
    address = "directory"

    def open_source(self, section: LinesSource) -> Source:
        from toy_lines.reading import LinesReader  # noqa: PLC0415

        return LinesReader(section)

    def describe(self, dataset: LinesDataset) -> str:
        return f"Lines of the folder `{dataset.folder}`."


SYSTEM = Lines()
