"""Small lakes of random content: how they are exported and asked, and how many there are.

Belongs here: what the three oracles share. Does not: content, questions.
"""

from __future__ import annotations

import itertools
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings

from lake.base.day import Day
from lake.config.settings import Settings, load
from lake.export import Exporter
from lake.query import Lake

# Many more by hand: LAKE_ORACLE_EXAMPLES=2000.
EXAMPLES = int(os.environ.get("LAKE_ORACLE_EXAMPLES", "0"))

_NUMBERS = itertools.count(1)


def examples(usual: int) -> settings:
    """Hypothesis' settings for examples that each talk to a server."""
    return settings(
        max_examples=EXAMPLES or usual,
        deadline=None,
        derandomize=not EXAMPLES,
        phases=[Phase.explicit, Phase.generate, *([] if EXAMPLES else [Phase.shrink])],
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )


@contextmanager
def exported(sections: str, days: Sequence[Day]) -> Iterator[Lake]:
    """A lake with these days of every dataset, open for questions; gone afterwards."""
    if EXAMPLES:
        print(f"lake {next(_NUMBERS)} at {time.time():.0f}", flush=True)  # pytest -s: how far it is
    folder = Path(tempfile.mkdtemp(prefix="oracle-"))
    try:
        config = folder / "lake.toml"
        config.write_text(f'[lake]\nroot = "lake"\n{sections}')
        loaded = load(str(config), {})
        _export(loaded, days)
        with Lake(loaded) as lake:
            yield lake
    finally:
        shutil.rmtree(folder)


def _export(loaded: Settings, days: Sequence[Day]) -> None:
    with closing(Exporter(loaded)) as exporter:
        for dataset in loaded.dataset:
            for day in days:
                exporter.export(dataset, day)


def same_number(number: float | None, other: float | None) -> bool:
    """Equal but for the order in which a sum was rounded; NaN equals NaN."""
    if number is None or other is None:
        return number is other
    if math.isnan(number) or math.isnan(other):
        return math.isnan(number) and math.isnan(other)
    return number == other or math.isclose(number, other, rel_tol=1e-12, abs_tol=1e-9)


def differences(
    computed: Mapping[Any, Sequence[float | None]], expected: Mapping[Any, Sequence[float | None]]
) -> list[str]:
    """The keys at which both say something else."""
    return [
        f"{key}: lake {computed.get(key)}, source {expected.get(key)}"
        for key in sorted({*computed, *expected}, key=repr)
        if key not in computed
        or key not in expected
        or len(computed[key]) != len(expected[key])
        or not all(map(same_number, computed[key], expected[key]))
    ]
