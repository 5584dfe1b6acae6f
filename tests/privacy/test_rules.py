"""Rules of columns in lake.toml, and what they make of texts."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging

import pytest

from lake.base.errors import ConfigError, LakeError, Refused
from lake.base.field_path import field_path
from lake.base.redaction import redact
from lake.config.settings import load
from lake.privacy.applying import Rules, differing, key_id
from lake.privacy.messages import no_values, without_values
from lake.privacy.rules import Rule, rules_of

KEY = "0123456789abcdef0123456789abcdef"
FILE = """
[lake]
root = "lake"
[sources.mongo]
uri = "mongodb://127.0.0.1:1"
database = "d"
[sources.loki]
url = "http://127.0.0.1:1"
[sources.prometheus]
url = "http://127.0.0.1:1"
[[dataset]]
name = "docs"
source = "mongo"
collection = "docs"
time_field = "meta.at"
{docs}
[[dataset]]
name = "logs"
source = "loki"
selector = '{{a="b"}}'
{logs}
[[dataset]]
name = "samples"
source = "prometheus"
query = "up"
{samples}
"""


@pytest.fixture
def settings(tmp_path):
    def of(env=None, docs="", logs="", samples=""):
        path = tmp_path / "lake.toml"
        path.write_text(FILE.format(docs=docs, logs=logs, samples=samples))
        return load(str(path), env or {})

    return of


def test_each_form_of_a_rule_in_the_file_and_from_the_environment(settings):
    rules = """
[dataset.columns]
"user.email" = "hash"
'"a.b".c' = "drop"
ip = { truncate = 3 }
text = { pattern = "[0-9]+", replace = "#" }
"""
    (docs, *_) = settings({"LAKE_PRIVACY__HASH_KEY": KEY}, docs=rules).dataset
    assert docs.rules().to_json() == [
        {"path": "user.email", "rule": "hash", "key_id": key_id(KEY)},
        {"path": '"a.b".c', "rule": "drop"},
        {"path": "ip", "rule": "truncate", "length": 3},
        {"path": "text", "rule": "replace", "pattern": "[0-9]+", "replacement": "#"},
    ]
    assert [Rule.from_json(rule) for rule in docs.rules().to_json()] == list(docs.rules().all)
    assert "columns" not in docs.model_dump()  # a new rule is no other definition
    (docs, *_) = settings({"LAKE_DATASET__DOCS__COLUMNS": '{"x": "drop"}'}).dataset
    assert docs.columns == (Rule(("x",), "drop"),)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ('"meta" = "drop"', "time field"),
        ('"META.at" = "hash"', "time field"),
        ('"_id" = "drop"', "_id"),
        ('"_id" = { truncate = 1 }', "_id"),
        ('x = "encrypt"', '"drop", "hash"'),
        ("x = { truncate = 0 }", "above 0"),
        ('x = { pattern = "(", replace = "" }', "no regular expression"),
        ('x = { pattern = "a", replace = "\\\\1" }', "no regular expression"),
        ('user.email = "hash"', '"user.email"'),
        ('user = "drop"\n"User.email" = "hash"', "overlap"),
        ('"a..b" = "drop"', "is not a path"),
    ],
)
def test_a_rule_that_can_not_be_is_refused_with_the_reason(settings, rules, text):
    with pytest.raises(ConfigError) as caught:
        settings(docs=f"[dataset.columns]\n{rules}")
    assert text in str(caught.value)


@pytest.mark.parametrize("rules", ['ts = "drop"', 'metadata = "drop"', '"a.b.c" = "drop"'])
def test_lines_keep_their_time_and_place(settings, rules):
    with pytest.raises(ConfigError):
        settings(logs=f"[dataset.columns]\n{rules}")


@pytest.mark.parametrize("rules", ['value = "drop"', '__name__ = "drop"', '"metadata.x" = "drop"'])
def test_samples_have_rules_on_labels_alone(settings, rules):
    with pytest.raises(ConfigError):
        settings(samples=f"[dataset.columns]\n{rules}")


@pytest.mark.parametrize("source", ["logs", "samples"])
def test_a_label_has_one_rule_in_both_spellings(settings, source):
    with pytest.raises(ConfigError) as caught:
        settings(**{source: '[dataset.columns]\nuser = "hash"\n"labels.User" = "drop"'})
    assert "'user' and 'labels.User' are one label" in str(caught.value)
    allowed = '[dataset.columns]\nline = "hash"\n"labels.line" = "drop"\n"metadata.line" = "drop"'
    assert len(settings(logs=allowed).datasets_named(("logs",))[0].columns) == 3


def test_without_the_key_the_error_names_its_variable(settings):
    (docs, *_) = settings(docs='[dataset.columns]\nx = "hash"').dataset
    with pytest.raises(ConfigError) as caught:
        docs.rules()
    assert "LAKE_PRIVACY__HASH_KEY" in str(caught.value)
    assert docs.recorded_rules() == [{"path": "x", "rule": "hash", "key_id": ""}]


def test_the_key_is_a_secret(settings, tmp_path):
    with pytest.raises(ConfigError) as caught:
        settings(docs=f'[dataset.columns]\nx = "hash"\n[privacy]\nhash_key = "{KEY}"')
    assert "secret" in str(caught.value)
    assert KEY not in str(caught.value)
    loaded = settings({"LAKE_PRIVACY__HASH_KEY": KEY}, docs='[dataset.columns]\nx = "hash"')
    assert KEY not in repr(loaded) + repr(loaded.dataset[0].__dict__)
    assert KEY not in redact(f"so {KEY}")
    with pytest.raises(ConfigError) as caught:
        settings({"LAKE_PRIVACY__HASH_KEY": "tooshort"})
    assert "tooshort" not in str(caught.value)


def test_a_hash_is_the_hmac_of_the_text_and_the_id_shows_another_key():
    rules = Rules(rules_of({"x": "hash"}), KEY)
    expected = hmac.new(KEY.encode(), "añ".encode(), hashlib.sha256).hexdigest()
    assert rules.of_text(rules.all[0], "añ") == expected
    other = Rules(rules_of({"x": "hash"}), KEY[::-1])
    assert other.of_text(other.all[0], "añ") != expected
    assert differing(rules.to_json(), other.to_json())
    assert not differing(rules.to_json(), [{"path": "x", "rule": "hash", "key_id": ""}])
    with pytest.raises(ConfigError) as caught:
        Rules(rules.all, KEY[::-1])
    assert "another key" in str(caught.value)
    assert len(key_id(KEY)) == 8


def test_paths_are_read_as_they_are_written():
    for text in ("a", "a.b", '"a.b".c', '"say ""x""".y', '" "'):
        assert Rule(field_path(text), "drop").text == text
    assert field_path('"a.b".c') == ("a.b", "c")


def refuse() -> None:
    try:
        raise ValueError("bob")
    except ValueError as error:
        raise Refused("no", where='{user="bob"}', remedy="run `lake x`") from error


def test_messages_quote_no_values():
    known = json.dumps({"selector": '{app="chat"}'})
    text = (
        """{app="chat", user="bob@x.org"} |= `hello bob` it's 'bob "x"' b'bob\\'s' "bob\\" bob" """
        'query=%7Buser%3D%22bob%22%7D found "bob'
    )
    assert "bob" not in without_values(text, known)
    assert '"chat"' in without_values(text, known)
    with pytest.raises(Refused) as caught, no_values(known):
        refuse()
    assert "bob" not in str(caught.value)
    assert "`lake x`" in str(caught.value)
    assert caught.value.__cause__ is None
    with pytest.raises(LakeError) as caught, no_values(known):
        {}["bob"]
    assert "bob" not in str(caught.value)
    assert "KeyError" in str(caught.value)
    record = logging.LogRecord("x", 40, "", 1, "m", (), (type(caught.value), caught.value, None))
    assert "bob" not in logging.Formatter().format(record)
