-- The fields of a log line: the members of a JSON object, or the pairs of logfmt
--
-- grain:      one MAP of name and text; empty where the line has neither. Nested JSON is JSON text,
--             null is NULL. A name that comes twice in logfmt has its first value
-- parameters: log_line  the line
--
-- Lines by route: SELECT line_fields(line)['route'] AS route, count(*) FROM container_logs GROUP BY route
CREATE OR REPLACE MACRO line_fields(log_line) AS
CASE
    WHEN ltrim(log_line)[1] = '{' AND json_valid(log_line) THEN map_from_entries(list_transform(
        list_distinct(json_keys(log_line)),
        -- A JSON pointer reaches every name.
        lambda name_: struct_pack(
            name := name_,
            text := json_extract_string(
                log_line, concat('/', replace(replace(name_, '~', '~0'), '/', '~1'))
            )
        )
    ))
    -- A list of one element, so that each expression is computed once for a line.
    WHEN contains(log_line, '=') THEN list_transform(
        [struct_pack(
            names := regexp_extract_all(log_line, '(?:^|\s)([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)', 1),
            texts := regexp_extract_all(log_line, '(?:^|\s)([^\s="]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)', 2)
        )],
        lambda pairs_: map_from_entries(list_transform(
            list_distinct(pairs_.names),
            lambda name_: struct_pack(
                name := name_,
                text := list_transform(
                    [pairs_.texts[list_position(pairs_.names, name_)]],
                    lambda text_: CASE
                        WHEN text_[1] <> '"' THEN text_
                        WHEN json_valid(text_) THEN json_extract_string(text_, '$')
                        ELSE text_[2:-2]
                    END
                )[1]
            )
        ))
    )[1]
    WHEN log_line IS NOT NULL THEN map_from_entries([]::STRUCT("name" VARCHAR, "text" VARCHAR)[])
END;
