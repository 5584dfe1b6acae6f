"""Lines of many loggers, each with the level that it contains."""

from __future__ import annotations

SPRING = "2026-07-01T12:00:00.123+09:00 {:>5} 1 --- [main] c.m.Application : started, no ERROR"
DETECTED = [
    # JSON, as logback, pino, zap, python-json-logger, Elastic and MongoDB write it
    ('{"@timestamp":"2026-07-01T00:00:00Z","level":"WARN","message":"x"}', "warn"),
    ('{"level":50,"time":1750000000000,"msg":"level=info"}', "error"),
    ('{"severity":"CRITICAL","message":"x"}', "critical"),
    ('{"levelname": "WARNING", "message": "x"}', "warn"),
    ('{"log.level":"error","message":"x"}', "error"),
    ('{"log":{"level":"debug"},"message":"x"}', "debug"),
    ('{"t":{"$date":"2026-07-01T00:00:00Z"},"s":"I","c":"NETWORK","msg":"x"}', "info"),
    ('{"t":{"$date":"2026-07-01T00:00:00Z"},"s":"D2","c":"NETWORK","msg":"x"}', "debug"),
    ('{"level":{"nested":1},"lvl":"fatal"}', "fatal"),
    ('{"message":"no level at all, error or not"}', None),
    ('{"message":"set level=error"}', None),
    ('{"level":"WARN", cut off', None),
    # logfmt
    ('ts=2026-07-01T00:00:00Z level=error msg="level=info"', "error"),
    ('msg="x" severity="Warning"', "warn"),
    ("mylevel=error", None),
    # Spring Boot's plain lines, nginx, Python
    (SPRING.format("ERROR"), "error"),
    (SPRING.format("WARN"), "warn"),
    (SPRING.format("INFO"), "info"),
    ("2026/07/01 12:00:00 [crit] 29#29: connect() failed", "critical"),
    ("2026-07-01 12:00:00,123 DEBUG root: x", "debug"),
    ("12:00:00.123 TRACE x", "trace"),
    ("ERROR: relation does not exist", "error"),
    ("[WARN] x", "warn"),
    # None
    ("\tat com.miyou.Error.run(Error.java:118)", None),
    ("Error handling went well", None),
    ("Error: no such file", "error"),
    ("I am here", None),
    ("an error", None),
    ('203.0.113.7 - - [01/Jul/2026:12:00:00 +0000] "GET / HTTP/1.1" 500 1', None),
    ("", None),
]
