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
    # Logback's own pattern, log4j2's and gunicorn's, PostgreSQL
    ("12:00:00.123 [main] INFO c.m.Application -- x", "info"),
    ("2026-07-01 12:00:00.123 [http-nio-8080-exec-1] ERROR c.m.A - level=info", "error"),
    ("[2026-07-01T12:00:00,000][WARN ][o.e.n.Node] x", "warn"),
    ("[2026-07-01 12:00:00 +0000] [7] [INFO] x", "info"),
    ("2026-07-01 12:00:00.000 UTC [7] FATAL:  x", "fatal"),
    ("[main] INFO x", None),
    # In a terminal's colours, as Spring Boot, logrus and Nest write them
    (
        "\x1b[2m2026-07-01T12:00:00.123Z\x1b[0;39m \x1b[32m INFO\x1b[0;39m \x1b[35m1\x1b[0;39m x",
        "info",
    ),
    ("\x1b[31mERROR\x1b[0m[0012] x", "error"),
    ("2026-07-01 12:00:00.123 [main] \x1b[1;31mERROR\x1b[m c.m.A - x", "error"),
    # The line's own level, not one in its text or its stack trace
    (SPRING.format("ERROR") + " level=info", "error"),
    (SPRING.format("WARN") + "\njava.lang.Error: level=debug\n\tat c.m.A.run(A.java:1)", "warn"),
    # None
    ("\tat com.miyou.Error.run(Error.java:118)", None),
    ("Error handling went well", None),
    ("Error: no such file", "error"),
    ("I am here", None),
    ("an error", None),
    ('203.0.113.7 - - [01/Jul/2026:12:00:00 +0000] "GET / HTTP/1.1" 500 1', None),
    ("", None),
]
