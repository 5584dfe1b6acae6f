-- The first day of the period that a day belongs to
--
-- grain:      one DATE
-- parameters: period_day    a DATE
--             period        'day', 'week' (its Monday), 'month', 'quarter' or 'range'
--             range_start   what 'range' gives: one period for all days
CREATE OR REPLACE MACRO period_start(period_day, period, range_start) AS
CASE period
    WHEN 'day' THEN CAST(period_day AS DATE)
    WHEN 'week' THEN CAST(date_trunc('week', CAST(period_day AS DATE)) AS DATE)
    WHEN 'month' THEN CAST(date_trunc('month', CAST(period_day AS DATE)) AS DATE)
    WHEN 'quarter' THEN CAST(date_trunc('quarter', CAST(period_day AS DATE)) AS DATE)
    WHEN 'range' THEN CAST(range_start AS DATE)
    ELSE CAST(error('not a period (day, week, month, quarter, range): ' || period) AS DATE)
END;
