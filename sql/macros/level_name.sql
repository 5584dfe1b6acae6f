-- The common name of a level as some logging library writes it
--
-- grain:      one text: trace, debug, info, warn, error, critical or fatal; NULL for others
-- parameters: level_text  such as WARNING, err, 30 (pino), E (MongoDB)
CREATE OR REPLACE MACRO level_name(level_text) AS
CASE lower(level_text)
    WHEN 'trace' THEN 'trace' WHEN 'trc' THEN 'trace' WHEN 'finest' THEN 'trace' WHEN '10' THEN 'trace'
    WHEN 'debug' THEN 'debug' WHEN 'dbg' THEN 'debug' WHEN 'fine' THEN 'debug' WHEN '20' THEN 'debug'
    WHEN 'd1' THEN 'debug' WHEN 'd2' THEN 'debug' WHEN 'd3' THEN 'debug' WHEN 'd4' THEN 'debug'
    WHEN 'd5' THEN 'debug'
    WHEN 'info' THEN 'info' WHEN 'inf' THEN 'info' WHEN 'information' THEN 'info'
    WHEN 'notice' THEN 'info' WHEN '30' THEN 'info' WHEN 'i' THEN 'info'
    WHEN 'warn' THEN 'warn' WHEN 'warning' THEN 'warn' WHEN 'wrn' THEN 'warn' WHEN '40' THEN 'warn'
    WHEN 'w' THEN 'warn'
    WHEN 'error' THEN 'error' WHEN 'err' THEN 'error' WHEN 'severe' THEN 'error' WHEN '50' THEN 'error'
    WHEN 'e' THEN 'error'
    WHEN 'critical' THEN 'critical' WHEN 'crit' THEN 'critical' WHEN 'alert' THEN 'critical'
    WHEN 'emerg' THEN 'critical' WHEN 'emergency' THEN 'critical'
    WHEN 'fatal' THEN 'fatal' WHEN 'panic' THEN 'fatal' WHEN '60' THEN 'fatal' WHEN 'f' THEN 'fatal'
END;
