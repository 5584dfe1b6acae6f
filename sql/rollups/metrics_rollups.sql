-- The service's own minutes by hour: requests, errors, tokens, latency
--
-- grain:    one row an hour
-- keys:     hour
-- measures: minutes, requests, errors, prompt_tokens, completion_tokens, total_tokens, latency_ms_sum
-- column:   minute TIMESTAMPTZ = timestamp
-- column:   requests BIGINT = requestCount
-- column:   errors BIGINT = errorCount
-- column:   prompt_tokens BIGINT = promptTokens
-- column:   completion_tokens BIGINT = completionTokens
-- column:   total_tokens BIGINT = totalTokens
-- column:   latency_ms DOUBLE = totalLatencyMs
-- sums:     minutes, requests, errors, prompt_tokens, completion_tokens, total_tokens, latency_ms_sum
-- rows:     minutes
--
-- The average latency is sum(latency_ms_sum) / sum(requests).
SELECT
    coalesce(date_trunc('hour', minute), CAST(day AS TIMESTAMPTZ)) AS hour,
    count(*) AS minutes,
    CAST(coalesce(sum(requests), 0) AS BIGINT) AS requests,
    CAST(coalesce(sum(errors), 0) AS BIGINT) AS errors,
    CAST(coalesce(sum(prompt_tokens), 0) AS BIGINT) AS prompt_tokens,
    CAST(coalesce(sum(completion_tokens), 0) AS BIGINT) AS completion_tokens,
    CAST(coalesce(sum(total_tokens), 0) AS BIGINT) AS total_tokens,
    coalesce(sum(latency_ms), 0) AS latency_ms_sum
FROM day_rows
GROUP BY ALL;
