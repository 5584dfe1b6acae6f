"""The price file: what a region charges.

Belongs here: its keys, reading it, the price of an amount. Does not: how much there is.
"""

from __future__ import annotations

import datetime as dt
import tomllib
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from lake.base.causes import cause
from lake.base.errors import ConfigError, UsageError
from lake.config.sections import Section

GB = 2**30
STANDARD = "STANDARD"
_FILE = "prices.toml"
_Price = Annotated[float, Field(ge=0)]


class Tier(Section):
    """A price for the gigabytes up to `up_to_gb`, without it for all the others."""

    storage: _Price
    up_to_gb: Annotated[float, Field(gt=0)] | None = None


class StorageClass(Section):
    """See the price file's head. `storage` is one price, `tier` several."""

    put: _Price
    get: _Price
    storage: _Price | None = None
    tier: tuple[Tier, ...] = ()
    move: _Price = 0
    read: _Price = 0
    monitor: _Price = 0
    minimum_days: Annotated[int, Field(ge=0)] = 0
    minimum_kib: Literal[0, 128] = 0
    overhead_kib: Annotated[int, Field(ge=0)] = 0
    standard_overhead_kib: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _one_price_for_each_gigabyte(self) -> Self:
        if (self.storage is None) == (not self.tier):
            raise ValueError("either storage or tier")
        ends = [tier.up_to_gb for tier in self.tier]
        if self.tier and (ends[-1] is not None or None in ends[:-1]):
            raise ValueError("up_to_gb in every tier but the last")
        if any(low >= high for low, high in pairwise(end for end in ends if end)):
            raise ValueError("tiers in the order of up_to_gb")
        return self

    def month(self, gigabytes: float) -> float:
        """The price of storing that many gigabytes for a month."""
        if self.storage is not None:
            return gigabytes * self.storage
        price, below = 0.0, 0.0
        for tier in self.tier:
            end = tier.up_to_gb if tier.up_to_gb is not None else gigabytes
            price += max(0.0, min(gigabytes, end) - below) * tier.storage
            below = end
        return price


class Region(Section):
    """A region's classes by name. `date` is that of the price list, `unconfirmed` what was not
    compared with it.
    """

    name: str
    date: dt.date
    unconfirmed: tuple[str, ...] = ()
    classes: dict[str, StorageClass] = Field(alias="class")

    @model_validator(mode="after")
    def _standard(self) -> Self:
        if STANDARD not in self.classes:
            raise ValueError("a class STANDARD")
        return self

    def class_named(self, name: str) -> StorageClass:
        """Raises UsageError naming the classes that have a price."""
        if name not in self.classes:
            raise UsageError(
                f"no price for the storage class {name}",
                where=self.name,
                expected="one of " + ", ".join(self.classes),
                remedy="add it to a price file, and name that by --prices",
            )
        return self.classes[name]


class _PriceFile(Section):
    currency: str
    source: str
    default_region: str
    region: dict[str, Region]

    @model_validator(mode="after")
    def _default_exists(self) -> Self:
        if self.default_region not in self.region:
            raise ValueError("default_region among the regions")
        return self


class Prices(Section):
    """The prices of one region. `note`: why that one, where the lake's own is not known."""

    file: str
    currency: str
    source: str
    code: str
    region: Region
    note: str = ""


def read_prices(file: Path | None, region: str | None, note: str = "") -> Prices:
    """Those of `region`, of the file's default one where it is None.

    Raises UsageError for a region without prices, ConfigError for a file that can't be used.
    """
    where = str(file) if file else _FILE
    read = _read(file, where)
    code = region or read.default_region
    if code not in read.region:
        raise UsageError(
            f"no prices for the region {code}",
            where=where,
            expected="one of " + ", ".join(read.region),
            remedy="choose one by --region, or name a file with this region's by --prices",
        )
    return Prices(
        file=where,
        currency=read.currency,
        source=read.source,
        code=code,
        region=read.region[code],
        note=note,
    )


def _read(file: Path | None, where: str) -> _PriceFile:
    try:
        text = (
            file.read_text("utf-8-sig")
            if file
            else resources.files("lake.cost").joinpath(_FILE).read_text("utf-8")
        )
        return _PriceFile.model_validate(tomllib.loads(text))
    except OSError as error:
        raise ConfigError(
            "the price file can't be read", where=where, found=cause(error)
        ) from error
    except ValidationError as error:
        raise _invalid(error, where) from None
    except ValueError as error:  # no UTF-8, no TOML
        raise ConfigError(
            "not a readable TOML file", where=where, expected="TOML in UTF-8", found=error
        ) from error


def _invalid(error: ValidationError, where: str) -> ConfigError:
    finding = error.errors()[0]
    key = ".".join(str(part) for part in finding["loc"])
    return ConfigError(
        "invalid price file",
        where=f"{where}: {key}" if key else where,
        found=finding["msg"].removeprefix("Value error, expected "),
        remedy=f"lake/cost/{_FILE} is a valid example",
    )
