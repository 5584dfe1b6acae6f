-- The first day of a quarter, for the range macros
--
-- grain:      one DATE: quarter_start('2026Q3') is 2026-07-01
-- parameters: quarter  a text such as '2026Q3'; another text is an error
--
-- A whole quarter: FROM usage_analytics_between(quarter_start('2026Q3'), quarter_start('2026Q4'))
CREATE OR REPLACE MACRO quarter_start(quarter) AS
CASE
    WHEN regexp_full_match(quarter, '\d{4}[Qq][1-4]')
        THEN make_date(CAST(quarter[:4] AS BIGINT), CAST(quarter[6:] AS BIGINT) * 3 - 2, 1)
    ELSE CAST(error('not a quarter such as 2026Q3: ' || quarter) AS DATE)
END;
