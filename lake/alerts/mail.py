"""E-mail by SMTP.

Belongs here: the message, the session, its failures. Does not: other channels.

A server's own words after a login are not shown: they may repeat what was sent.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid

from lake.alerts.alert import Alert
from lake.base.causes import cause
from lake.base.errors import LakeError, Refused, TransientError
from lake.config.alerts import EmailSection

_TIMEOUT_S = 10
_SUBJECT_CHARS = 150


@dataclass(frozen=True)
class Mail:
    """One message per alert, to all recipients."""

    section: EmailSection
    password: Callable[[], str] = field(repr=False)
    name: str = "email"
    keeps_state: bool = False

    def send(self, alert: Alert) -> None:
        """Hands the message to the server. Raises Refused, TransientError, ConfigError."""
        message = _message(self.section, alert)
        with self._logged_in() as session:
            refused = session.send_message(message)
            if refused:
                raise self._refused(f"the mail server refuses {', '.join(refused)}", None)

    def probe(self) -> None:
        """Whether the server answers and takes the login; no message. Raises what `send` does."""
        with self._logged_in() as session:
            session.noop()

    @contextmanager
    def _logged_in(self) -> Iterator[smtplib.SMTP]:
        """A session; within the block errors of SMTP are LakeErrors."""
        password = self.password()
        try:
            with self._session() as session:
                if self.section.username:
                    session.login(self.section.username, password)
                yield session
        except LakeError:
            raise
        except smtplib.SMTPAuthenticationError as error:
            raise self._refused("the mail server refuses the login", error.smtp_code) from None
        except smtplib.SMTPRecipientsRefused as error:
            addresses = ", ".join(error.recipients)
            raise self._refused(f"the mail server refuses {addresses}", None) from None
        except smtplib.SMTPResponseException as error:
            if 400 <= error.smtp_code < 500:
                raise self._silent(f"SMTP {error.smtp_code}") from None
            raise self._refused("the mail server refuses the message", error.smtp_code) from None
        except smtplib.SMTPNotSupportedError:
            raise self._refused("the mail server has no STARTTLS or no login", None) from None
        except (smtplib.SMTPException, OSError) as error:  # of TLS, too
            raise self._silent(cause(error)) from None

    def _session(self) -> smtplib.SMTP:
        section = self.section
        address = (section.host, section.port)
        if section.begins_with_tls:
            return smtplib.SMTP_SSL(*address, timeout=_TIMEOUT_S, context=self._context())
        session = smtplib.SMTP(*address, timeout=_TIMEOUT_S)
        if section.starttls:
            try:
                session.starttls(context=self._context())
            except BaseException:
                session.close()
                raise
        return session

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.section.ca_file or None)

    @property
    def _where(self) -> str:
        return f"{self.section.host}:{self.section.port}"

    def _refused(self, what: str, code: int | None) -> LakeError:
        return Refused(
            what,
            where=self._where,
            found=f"SMTP {code}" if code else None,
            remedy="check [alerts.email]",
        )

    def _silent(self, found: str) -> LakeError:
        return TransientError(
            "the mail server does not accept the message now",
            where=self._where,
            found=found,
            remedy="check host, port, starttls and implicit_tls in [alerts.email]",
        )


def _message(section: EmailSection, alert: Alert) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = f"[monitoring-lake] {alert.title}"[:_SUBJECT_CHARS]
    message["From"] = section.sender
    message["To"] = ", ".join(section.to)
    message["Date"] = format_datetime(alert.ended_at or alert.started_at)
    message["Message-ID"] = make_msgid(domain=section.sender.rpartition("@")[2])
    message["Auto-Submitted"] = "auto-generated"  # no out-of-office replies
    labels = [f"{name}: {value}" for name, value in sorted(alert.labels.items())]
    began = f"since: {alert.started_at:%Y-%m-%d %H:%M} UTC"
    parts = [alert.summary, alert.description, "\n".join([alert.name, *labels, began])]
    message.set_content("\n\n".join(part for part in parts if part) + "\n")
    return message
