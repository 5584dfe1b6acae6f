import json

import pytest

from lake.base.errors import LakeError
from lake.base.redaction import redact, register_secret


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at mongodb://me:pw@h:1/x?y", "at mongodb://***@h:1/x?y"),
        ("at https://token@h/x", "at https://***@h/x"),
        ("at http://u:a/b@c@h/x and http://h2/", "at http://***@h/x and http://h2/"),
        ("s3://bucket/tables/x", "s3://bucket/tables/x"),
        ("mail me@home.example", "mail me@home.example"),
    ],
)
def test_userinfo_of_urls(text, shown):
    assert redact(text) == shown


def test_registered_secrets_in_every_part_of_an_error():
    register_secret("kW/9+secret")
    parts = dict.fromkeys(("where", "expected", "found", "remedy"), "it is kW/9+secret.")
    error = LakeError("not kW%2F9%2Bsecret", **parts)
    assert str(error).count("***") == 5
    assert "secret" not in str(error)
    assert "secret" not in repr(error)


def test_the_longest_secret_goes_first():
    register_secret("swordfish")
    register_secret("swordfish-and-chips")
    assert redact("swordfish-and-chips") == "***"


def test_short_strings_are_no_secrets():
    register_secret("a")
    register_secret("")
    assert redact("a banana") == "a banana"


@pytest.mark.parametrize(
    "shown",
    [
        "ValueError: Invalid header value b'Bearer p\\xe9\"ss\\\\w0rd\\n'",
        "b'p\\xc3\\xa9\"ss\\\\w0rd'",
        repr('pé"ss\\w0rd\n'),
        json.dumps({"token": 'pé"ss\\w0rd\n'}),
        json.dumps('pé"ss\\w0rd', ensure_ascii=False),
        "p%C3%A9%22ss%5Cw0rd",
        'pé"ss\\w0rd',
    ],
)
def test_a_secret_is_replaced_as_literals_write_it(shown):
    register_secret('pé"ss\\w0rd\n')
    assert "w0rd" not in redact(shown)


def test_each_line_of_a_secret_is_replaced():
    register_secret("-----BEGIN\nMIIEvQIBADAN\nqhkiG9w0BAQE\n")
    assert redact("key: qhkiG9w0BAQE") == "key: ***"


def test_a_secret_that_is_not_utf8_can_be_registered():
    register_secret("byt\udce9s-of-latin1")
    assert "latin1" not in redact("byt\udce9s-of-latin1")
