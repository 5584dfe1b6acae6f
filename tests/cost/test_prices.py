"""Prices: the published ones, by region, and files of one's own.

Belongs here: reading them and what is wrong with a file. Does not: what anything costs
(test_forecast.py).
"""

from __future__ import annotations

import pytest

from lake.base.errors import ConfigError, UsageError
from lake.cost.prices import read_prices


def test_published_prices_of_seoul():
    prices = read_prices(None, "ap-northeast-2")
    assert prices.currency == "USD"
    standard = prices.region.class_named("STANDARD")
    assert standard.month(51_200) == pytest.approx(1280)
    assert standard.month(51_201) == pytest.approx(1280.024)
    assert standard.month(600_000) == pytest.approx(1280 + 460_800 * 0.024 + 88_000 * 0.023)
    assert prices.region.class_named("GLACIER_IR").month(100) == pytest.approx(0.5)


def test_every_region_has_the_same_classes():
    seoul, virginia = (read_prices(None, code).region for code in ("ap-northeast-2", "us-east-1"))
    assert seoul.classes.keys() == virginia.classes.keys()
    for region in (seoul, virginia):
        for name, rules in region.classes.items():
            instant = name in ("STANDARD_IA", "GLACIER_IR")
            assert rules.minimum_kib == (128 if instant else 0)
            days = {"STANDARD_IA": 30, "GLACIER_IR": 90, "GLACIER": 90, "DEEP_ARCHIVE": 180}
            assert rules.minimum_days == days.get(name, 0)
    assert seoul.class_named("STANDARD").put < virginia.class_named("STANDARD").put


def test_an_unknown_region_names_those_there_are():
    with pytest.raises(UsageError) as caught:
        read_prices(None, "eu-central-1")
    assert "ap-northeast-2, us-east-1" in str(caught.value)
    assert "--prices" in str(caught.value)


HEAD = """
currency = "EUR"
source = "x"
default_region = "{0}"
[region.b]
name = "B"
date = 2026-01-01
[region.b.class.STANDARD]
put = 1
get = 1
"""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("currency = 1", "currency"),
        ("no toml", "TOML"),
        (HEAD.format("a") + "storage = 1", "default_region"),
        (HEAD.format("b"), "either storage or tier"),
        (HEAD.format("b") + "storage = -1", "storage"),
        (HEAD.format("b") + "tier = [{ storage = 1 }, { storage = 2 }]", "every tier but the last"),
    ],
)
def test_a_price_file_that_can_not_be_used(tmp_path, text, message):
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_prices(file, None)
    assert message in str(caught.value)
    with pytest.raises(ConfigError, match="can't be read"):
        read_prices(tmp_path / "none.toml", None)
