-- The common name of a level as some logging library writes it
--
-- grain:      one text: trace, debug, info, warn, error, critical or fatal; NULL for others
-- parameters: level_text  such as WARNING, err, 30 (pino), E (MongoDB)
--
-- One look-up: CASE would compute level_text again for each name.
CREATE OR REPLACE MACRO level_name(level_text) AS
MAP {
    'trace': 'trace', 'trc': 'trace', 'finest': 'trace', '10': 'trace',
    'debug': 'debug', 'dbg': 'debug', 'fine': 'debug', '20': 'debug', 'd1': 'debug', 'd2': 'debug', 'd3': 'debug', 'd4': 'debug', 'd5': 'debug',
    'info': 'info', 'inf': 'info', 'information': 'info', 'notice': 'info', '30': 'info', 'i': 'info',
    'warn': 'warn', 'warning': 'warn', 'wrn': 'warn', '40': 'warn', 'w': 'warn',
    'error': 'error', 'err': 'error', 'severe': 'error', '50': 'error', 'e': 'error',
    'critical': 'critical', 'crit': 'critical', 'alert': 'critical', 'emerg': 'critical', 'emergency': 'critical',
    'fatal': 'fatal', 'panic': 'fatal', '60': 'fatal', 'f': 'fatal'
}[lower(level_text)];
