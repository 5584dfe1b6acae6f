-- The service's own minutes by hour: requests, errors, tokens, latency
--
-- grain:    one row an hour
-- keys:     hour
-- measures: minutes, requests, errors, prompt_tokens, completion_tokens, total_tokens, latency_ms_sum
-- column:   minute TIMESTAMPTZ = timestamp
-- column:   requests NUMBER = requestCount
-- column:   errors NUMBER = errorCount
-- column:   prompt_tokens NUMBER = promptTokens
-- column:   completion_tokens NUMBER = completionTokens
-- column:   total_tokens NUMBER = totalTokens
-- column:   latency_ms NUMBER = totalLatencyMs
-- sums:     minutes, requests, errors, prompt_tokens, completion_tokens, total_tokens, latency_ms_sum
-- rows:     minutes
--
-- The average latency is sum(latency_ms_sum) / sum(requests).
SELECT
    coalesce(date_trunc('hour', minute), CAST(day AS TIMESTAMPTZ)) AS hour,
    count(*) AS minutes,
    coalesce(sum(requests), 0) AS requests,
    coalesce(sum(errors), 0) AS errors,
    coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(completion_tokens), 0) AS completion_tokens,
    coalesce(sum(total_tokens), 0) AS total_tokens,
    coalesce(sum(latency_ms), 0) AS latency_ms_sum
FROM day_rows
GROUP BY ALL;
