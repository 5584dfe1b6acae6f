"""LogQL as text: the parts of a log selector, strings, and what is built around them.

Belongs here: quoting, parsing a selector, the queries that the reader sends.
Does not: requests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lake.base.errors import ConfigError

# Matchers in braces, where strings may hold braces; then the pipeline, if there is one.
_PARTS = re.compile(
    r'\s*(?P<matchers>\{(?:[^"`{}]|"(?:[^"\\]|\\.)*"|`[^`]*`)*\})(?P<pipeline>.*)', re.DOTALL
)
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)')
LINE_LABEL = "monitoring_lake_line"
NS_LABEL = "monitoring_lake_ns"
_ONE_LABEL = "monitoring_lake_one"
_ORIGINAL_LABEL = "monitoring_lake_original"
# Strings and comments, in which no stage begins.
_TEXTS = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|#[^\n]*')
_STAGE = re.compile(r"\|(?![=~>])\s*(\w*)")
# Parsers rename what has the name of a stream's label.
_KEEPING_LABELS = {"json", "logfmt", "regexp", "pattern", "line_format", "decolorize"}
# In metric queries Loki leaves out a line_format that no parser or line filter follows, and
# with it whatever it masks. A line filter that every line passes keeps it. No
# label_format of ours is between two line filters: such a query never ends on Loki 3.1.
_KEEP_FORMAT = '|= ""'
# A line that a parser stumbled over is a line, but makes a metric query fail.
ERROR_LABELS = {
    "monitoring_lake_error": "__error__",
    "monitoring_lake_error_details": "__error_details__",
}
"""Names under which `lines_as_labels` has what parsers stumbled over: own names → Loki's."""
_NO_ERRORS = f"| drop {', '.join(ERROR_LABELS.values())}"
_SAVE_ERRORS = "| label_format " + ", ".join(
    f"{own}=`{{{{.{name}}}}}`" for own, name in ERROR_LABELS.items()
)
# Loki 2 takes `.` for any character but a line break.
ANY = "(?s:.*)"
"""The regular expression that matches every value."""
SOME = "(?s:.+)"
"""The same but for the empty value, which stands for an absent label."""


def quoted(value: str) -> str:
    """A string in LogQL (Go's rules), which reads all that JSON writes."""
    return json.dumps(value, ensure_ascii=False)


def having(label: str, absent: Iterable[str] = (), pattern: str = SOME) -> str:
    """The matchers of all streams whose label matches, and that lack the absent ones."""
    lacking = (f'{name}=""' for name in absent)
    return "{" + ", ".join([*lacking, f"{label}=~{quoted(pattern)}"]) + "}"


@dataclass(frozen=True)
class Selector:
    """`{container=~".+"}`, perhaps with a pipeline such as `|= "error"` behind it."""

    matchers: str
    pipeline: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """Takes the text apart; Loki itself judges the parts. Raises ConfigError."""
        parts = _PARTS.fullmatch(text)
        if parts is None:
            raise ConfigError(
                "not a log selector",
                where='selector of a [[dataset]] with source = "loki"',
                expected='matchers in braces first, such as {container=~".+"}',
                found=text,
            )
        return cls(parts["matchers"], parts["pipeline"].strip())

    def __str__(self) -> str:
        return f"{self.matchers} {self.pipeline}".strip()

    @property
    def everything(self) -> bool:
        """Whether it is `{}`: all streams, for which `cover` has selectors that Loki takes."""
        return not self.matchers[1:-1].strip()

    def piped(self, stage: str) -> Selector:
        """With one more stage at the pipeline's end."""
        # On a line of its own, for the pipeline may end in a comment.
        return Selector(self.matchers, f"{self.pipeline}\n{stage}".strip())

    @property
    def filters_only(self) -> bool:
        """Whether the pipeline has line filters alone: labels and lines are as stored."""
        return _STAGE.search(_TEXTS.sub("", self.pipeline)) is None

    @property
    def keeps_labels(self) -> bool:
        """Whether the pipeline leaves the streams' labels as they are; it may add others."""
        stages = _STAGE.findall(_TEXTS.sub("", self.pipeline))
        return all(stage in _KEEPING_LABELS for stage in stages)

    def originals(self) -> Selector:
        """The lines that pass the pipeline, each with its text from before the pipeline.

        Lines that the pipeline makes equal stay different. Only fit for counting: the pipeline
        may be there to hide that text.
        """
        saved = f"| regexp `(?P<{_ORIGINAL_LABEL}>(?s:.*))`"
        selector = Selector(self.matchers, f"{saved}\n{self.pipeline}".strip())
        return selector.piped(f"| line_format `{{{{.{_ORIGINAL_LABEL}}}}}`")

    def exactly(self, labels: Mapping[str, str], absent: Iterable[str]) -> Selector:
        """The same lines of the one stream with these labels and without the absent ones.

        What the matchers themselves exclude by `name=""` stays absent.
        """
        lacking = [
            name
            for name, operator, text in _MATCHER.findall(self.matchers)
            if operator == "=" and text in ('""', "``")
        ]
        wanted = dict.fromkeys([*absent, *lacking], "") | dict(labels)
        pairs = (f"{name}={quoted(wanted[name])}" for name in sorted(wanted))
        return Selector("{" + ", ".join(pairs) + "}", self.pipeline)

    def of_stream(self, labels: Mapping[str, str], others: Iterable[Mapping[str, str]]) -> Selector:
        """The same lines of this one stream, whatever other streams there are beside it."""
        absent = {name for other in others if labels.items() < other.items() for name in other}
        return self.exactly(labels, absent)

    def narrowed(self, label: str, values: Iterable[str]) -> Selector:
        """The same lines of the streams with one of these values."""
        pattern = "|".join(map(re.escape, values))
        matchers = self.matchers.rstrip()[:-1].rstrip().removesuffix(",")
        return Selector(f"{matchers}, {label}=~{quoted(pattern)}}}", self.pipeline)

    def count(self, milliseconds: int, *, drops: bool = True, by: Iterable[str] = ()) -> str:
        """The number of lines in the last `milliseconds`. `drops`: see Dialect."""
        hours, rest = divmod(milliseconds, 3_600_000)
        duration = f"{milliseconds}ms" if rest else f"{hours}h"
        labels = ", ".join(by)
        grouping = f" by ({labels}) " if labels else ""
        return f"sum{grouping}(count_over_time({self._for_metrics(drops)} [{duration}]))"

    def lines_as_labels(self, *, drops: bool = True) -> Selector:
        """The same lines, each with its text and its time as labels. `drops`: see Dialect."""
        spelled = (
            f"| label_format {LINE_LABEL}=`{{{{__line__}}}}`, "
            f"{NS_LABEL}=`{{{{__timestamp__ | unixEpochNanos}}}}`"
        )
        if self.filters_only:
            return self.piped(spelled)
        kept = self.piped(_KEEP_FORMAT)
        return (kept.piped(_SAVE_ERRORS).piped(_NO_ERRORS) if drops else kept).piped(spelled)

    def each_line(self, milliseconds: int = 1) -> str:
        """The lines of the last milliseconds as metrics; of `lines_as_labels`."""
        return f"count_over_time({self} [{milliseconds}ms])"

    def some_lines(self, number: int, milliseconds: int = 1) -> str:
        """At most `number` of `each_line`, whatever their values.

        Loki splits a count among shards, each of which then returns too many lines; it does not
        split a variance.
        """
        ones = self.piped(f"| label_format {_ONE_LABEL}=`1` | unwrap {_ONE_LABEL}")
        return f"topk({number}, stdvar_over_time({ones} [{milliseconds}ms]))"

    def distinct_lines(self, *, drops: bool = True) -> str:
        """The number of lines in the last millisecond, those that differ in metadata only too.

        A plain count includes equal lines of a stream at one time, from different chunks, once.
        """
        return f"count({self.lines_as_labels(drops=drops).each_line()})"

    def _for_metrics(self, drops: bool) -> str:
        if self.filters_only or not drops:
            return f"{self}\n" if "#" in self.pipeline else str(self)  # it may end in a comment
        return str(self.piped(_NO_ERRORS))
