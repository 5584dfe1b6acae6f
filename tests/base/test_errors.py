import pytest

from lake.base import errors
from lake.base.errors import LakeError, TransientError
from lake.base.redaction import register_secret


def test_a_message_says_what_where_expected_found_and_the_remedy():
    error = LakeError("what", where="here", expected=1, found=["b"], remedy="do")
    assert str(error).splitlines() == [
        "what",
        "  where: here",
        "  expected: 1",
        "  found: ['b']",
        "  remedy: do",
    ]
    assert str(LakeError("what")) == "what"


@pytest.mark.parametrize(
    ("name", "exit_code", "retry"),
    [
        ("ConfigError", 2, False),
        ("UsageError", 2, False),
        ("Refused", 1, False),
        ("BadData", 1, False),
        ("Incomplete", 1, False),
        ("Missing", 1, False),
        ("TransientError", 1, True),
    ],
)
def test_the_tree(name, exit_code, retry):
    kind = getattr(errors, name)
    assert issubclass(kind, LakeError)
    assert kind.exit_code == exit_code
    assert issubclass(kind, errors.TransientError) == retry
    assert not (retry and issubclass(kind, errors.PermanentError))


def test_what_was_added_on_the_way_is_shown_without_secrets():
    register_secret("s3cr3t-note")
    error = TransientError("no response", where="s3://bucket")
    error.add_note("the limit was raised; password s3cr3t-note")
    assert str(error) == (
        "no response\n  where: s3://bucket\n  note: the limit was raised; password ***"
    )
