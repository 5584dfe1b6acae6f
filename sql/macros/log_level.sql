-- The level of a log line: what Loki has detected, else what the line itself contains
--
-- grain:      one text a line: trace, debug, info, warn, error, critical or fatal; NULL where
--             the line contains none
-- parameters: log_text      the line
--             log_metadata  its structured metadata (MAP), NULL where Loki has none
--
-- Of metadata `detected_level` counts, unless Loki reports `unknown`, then `level` and
-- `severity`. Of the line: a JSON object's level, severity, lvl, loglevel, levelname or
-- log.level, MongoDB's `s`, and the numbers of pino and bunyan; the upper-case or bracketed word
-- behind the time at the line's start, as Spring Boot and nginx write it, or behind the time and a
-- bracket, as Logback's [thread]; else logfmt's level, lvl or severity. A terminal's colours around
-- the word do not matter. A stack trace's lines contain none. Tables of Loki have the level as a
-- column in NAME_with_level, which looks at the label `level` too.
CREATE OR REPLACE MACRO log_level(log_text, log_metadata) AS
coalesce(
    level_name(log_metadata['detected_level']),
    level_name(log_metadata['level']),
    level_name(log_metadata['severity']),
    CASE
        WHEN log_text[1] = '{' AND json_valid(log_text) THEN level_name(
            list_filter(
                json_extract_string(
                    log_text,
                    ['$.level', '$.severity', '$.lvl', '$.loglevel', '$.levelname',
                     '$."log.level"', '$.log.level', '$.LEVEL', '$.Level', '$.s']
                ),
                -- level_name's names: its look-up would be made anew for each text here.
                lambda found: regexp_full_match(
                    lower(found),
                    'trace|trc|finest|debug|dbg|fine|d[1-5]|info|inf|information|notice|i|warn'
                    '|warning|wrn|w|error|err|severe|e|critical|crit|alert|emerg|emergency|fatal'
                    '|panic|f|[1-6]0'
                )
            )[1]
        )
        ELSE coalesce(
            level_name(
                trim(
                    regexp_extract(
                        if(contains(log_text, chr(27)), regexp_replace(log_text, '\x1b\[[0-9;]*m', '', 'g'), log_text),
                        '^\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?(?:\d\d:\d\d:\d\d[^\s\]]*)?\]?\s*(\[[A-Za-z]{3,} *\]|[A-Z]{3,}\b|[A-Za-z]{3,}:)',
                        1
                    ),
                    '[]: '
                )
            ),
            level_name(
                regexp_extract(
                    if(contains(log_text, chr(27)), regexp_replace(log_text, '\x1b\[[0-9;]*m', '', 'g'), log_text),
                    '^\[?(?:\d{4}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d[^\s\]]*(?: (?:[A-Z]{3,4}|[-+]\d{4}))?\]?\s*\[[^\]]*\]\s+\[?([A-Z]{3,})\b',
                    1
                )
            ),
            -- Most lines have no such text, and looking for it takes a fifth of the expression's time.
            CASE
                WHEN contains(log_text, 'l=') OR contains(log_text, 'severity=') THEN level_name(
                    regexp_extract(log_text, '(?:^|[\s,])(?:level|lvl|severity)="?([A-Za-z]+)', 1)
                )
            END
        )
    END
);
