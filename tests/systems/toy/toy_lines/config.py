"""JSON lines in lake.toml."""

from typing import Literal

from lake.config.datasets import Dataset
from lake.config.sections import SourceSection, SystemConfig


class LinesSource(SourceSection):
    """`[sources.lines]`."""

    directory: str
    lateness_days: int = 2


class LinesDataset(Dataset):
    """The files of a folder."""

    source: Literal["lines"]
    folder: str


CONFIG = SystemConfig(LinesSource, LinesDataset, hot_days=30)
