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
