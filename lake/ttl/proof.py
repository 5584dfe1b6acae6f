"""Whether the lake holds a day as the source has it now.

Belongs here: the proof of one day. Does not: which days need one, what follows from it (plan).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from lake.base.day import Day
from lake.base.errors import BadData
from lake.config.datasets import Dataset
from lake.config.ttl import Proof
from lake.erased import erased_rows
from lake.holds import Holds
from lake.partition.definition import changed_keys
from lake.partition.manifest import Manifest
from lake.retired import read_retired
from lake.store import Store
from lake.systems.protocol import Expiry, Source
from lake.systems.registry import count_problem

State = Literal["proven", "missing", "late", "differs", "damaged", "held"]


@dataclass(frozen=True)
class DayProof:
    """One day with rows that may expire.

    proven: the object is intact, and holds what the source has now · missing: no manifest ·
    late: the source has rows that were not exported · differs: it counts fewer, its rows have
    changed, or the manifest is of another definition · damaged: the object or its manifest is not
    as written · held: proven, but a hold covers it.

    `partly` is set where some of the day may have expired already; `born_expired` are rows that
    were inserted when they were older than the limit.
    """

    day: Day
    state: State
    source_count: int
    manifest_count: int | None = None
    sha256: str = ""
    partly: bool = False
    born_expired: int = 0
    why: str = ""

    @property
    def ok(self) -> bool:
        """Whether its rows may expire."""
        return self.state == "proven"

    def to_json(self) -> dict[str, Any]:
        """For `--json` and the audit log."""
        return {**self.__dict__, "day": str(self.day)}


@dataclass(frozen=True)
class Prover:
    """Proves the days of one dataset.

    Rows before `gone_before_ms` may have expired by the index already.
    """

    store: Store
    source: Source
    expiry: Expiry
    dataset: Dataset
    proof: Proof
    gone_before_ms: int
    limit_s: int
    holds: Holds

    def prove(self, day: Day, manifest: Manifest | BadData | None) -> DayProof:
        """The proof of one day; one that is proven and held may not expire either.

        Raises what the store and the source raise.
        """
        proof = self._proof_of(day, manifest)
        hold = self.holds.blocking(self.dataset.name, day)
        return replace(proof, state="held", why=str(hold)) if hold and proof.ok else proof

    def _proof_of(self, day: Day, manifest: Manifest | BadData | None) -> DayProof:
        """Counts the day at the source, reads its object whole and compares both.

        Raises what the store and the source raise.
        """
        from lake.verify import verify_partition  # noqa: PLC0415  brings numpy and Arrow

        counted = self.source.count(self.dataset, day).rows
        born = self.expiry.born_expired(self.dataset, day, self.limit_s)
        partly = day.start_ms < self.gone_before_ms
        known = manifest if isinstance(manifest, Manifest) else None

        def proof(state: State, why: str = "") -> DayProof:
            return DayProof(
                day,
                state,
                counted,
                known.source_count if known else None,
                known.sha256 if known else "",
                partly=partly,
                born_expired=born,
                why=why,
            )

        if manifest is None:
            retired = day in read_retired(self.store).days(self.dataset.name)
            why = "retired: [retention] has deleted it" if retired else "not exported"
            return proof("missing", why)
        if isinstance(manifest, BadData):
            return proof("damaged", manifest.what)
        if changed := changed_keys(self.dataset, manifest):
            return proof("differs", f"exported under another definition: {', '.join(changed)}")
        if problem := count_problem(manifest):
            return proof("differs", problem)
        intact = verify_partition(self.store, self.dataset, day, manifest, None)
        if not intact.ok:
            return proof("damaged", "; ".join(intact.problems))
        return proof(*self._compared(day, manifest, counted, partly=partly))

    def _compared(
        self, day: Day, manifest: Manifest, counted: int, *, partly: bool
    ) -> tuple[State, str]:
        exported = manifest.source_count
        if counted > exported:
            return "late", f"the source has {counted - exported} rows more than were exported"
        least = exported - erased_rows(manifest.details)  # the source may have lost them, too
        if counted < least and not (partly or self.proof == "contained"):
            return "differs", f"the source counts {counted} rows, but {exported} were exported"
        # Between both are erased rows that the source still has, or late ones: a count can't tell.
        whole = exported if self.proof == "count" else least
        if counted < whole or (partly and self.proof != "count"):
            return self._remainder(day, manifest, counted)
        if self.proof == "count":
            return "proven", ""
        from lake.verify import verify_partition  # noqa: PLC0415

        finding = verify_partition(self.store, self.dataset, day, manifest, self.source, deep=True)
        return ("proven", "") if finding.ok else ("differs", "; ".join(finding.problems))

    def _remainder(self, day: Day, manifest: Manifest, counted: int) -> tuple[State, str]:
        """Where rows have gone from the source, each that is left is looked for in the object."""
        unknown = self.expiry.unknown(self.dataset, day, self.store, manifest)
        if unknown:
            why = f"{unknown} of the rows left at the source are not in the lake"
            if erased := erased_rows(manifest.details):
                why += f"; {erased} were erased from it: delete them at the source, too"
            return "late", why
        gone = manifest.source_count - counted
        return "proven", f"{gone} of its rows are gone from the source" if gone else ""
