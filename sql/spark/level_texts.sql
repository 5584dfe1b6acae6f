-- The texts of a log line that may be its level, for Spark
--
-- grain:      one array of texts; the first one that level_name has is the level
-- inputs:     {line}, the line
--
-- As in the macro log_level: a JSON object's keys; else the upper-case or bracketed word behind the
-- time at the line's start, or behind the time and a bracket, without a terminal's colours; else
-- logfmt's level.
CASE
    WHEN {line} LIKE '{{%' AND get_json_object({line}, '$') IS NOT NULL THEN array(
        get_json_object({line}, '$.level'),
        get_json_object({line}, '$.severity'),
        get_json_object({line}, '$.lvl'),
        get_json_object({line}, '$.loglevel'),
        get_json_object({line}, '$.levelname'),
        get_json_object({line}, '$[''log.level'']'),
        get_json_object({line}, '$.log.level'),
        get_json_object({line}, '$.LEVEL'),
        get_json_object({line}, '$.Level'),
        get_json_object({line}, '$.s')
    )
    ELSE array(
        trim(BOTH '[]: ' FROM regexp_extract(
            regexp_replace({line}, r'\x1b\[[0-9;]*m', ''),
            r'^\[?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?(?:\d\d:\d\d:\d\d[^\s\]]*)?\]?\s*(\[[A-Za-z]{{3,}} *\]|[A-Z]{{3,}}\b|[A-Za-z]{{3,}}:)',
            1
        )),
        regexp_extract(
            regexp_replace({line}, r'\x1b\[[0-9;]*m', ''),
            r'^\[?(?:\d{{4}}[-/]\d\d[-/]\d\d[T ])?\d\d:\d\d:\d\d[^\s\]]*(?: (?:[A-Z]{{3,4}}|[-+]\d{{4}}))?\]?\s*\[[^\]]*\]\s+\[?([A-Z]{{3,}})\b',
            1
        ),
        regexp_extract({line}, r'(?:^|[\s,])(?:level|lvl|severity)="?([A-Za-z]+)', 1)
    )
END
