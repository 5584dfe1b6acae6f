-- Requests, errors, tokens, credits and latency by hour, model and failed stage
--
-- grain:    one row an hour, model and stage that failed (NULL: no error)
-- keys:     hour, model, failed_stage
-- measures: requests, errors, prompt_tokens, completion_tokens, total_tokens, llm_credits, tts_credits, total_credits, latency_ms, first_latency_ms, latency_ms_sum, audio_ms
-- column:   requested_at TIMESTAMPTZ = timestamp
-- column:   model VARCHAR = llm.model
-- column:   error VARCHAR = error
-- column:   failed_stage VARCHAR = error.stage
-- column:   prompt_tokens BIGINT = llm.promptTokens
-- column:   completion_tokens BIGINT = llm.completionTokens
-- column:   total_tokens BIGINT = llm.totalTokens
-- column:   llm_credits DOUBLE = cost.llmCredits
-- column:   tts_credits DOUBLE = cost.ttsCredits
-- column:   total_credits DOUBLE = cost.totalCredits
-- column:   latency_ms DOUBLE = response.totalLatencyMs
-- column:   first_latency_ms DOUBLE = response.firstLatencyMs
-- column:   audio_ms DOUBLE = tts.audioLengthMs
-- sums:     requests, errors, prompt_tokens, completion_tokens, total_tokens, llm_credits, tts_credits, total_credits, latency_ms_sum, audio_ms
-- rows:     requests
--
-- latency_ms and first_latency_ms are sketches: sketch_quantile(sketch_merge(latency_ms), 0.95).
-- Requests and tokens are whole numbers. A document without a date counts in the first hour of
-- its day.
SELECT
    coalesce(date_trunc('hour', requested_at), CAST(day AS TIMESTAMPTZ)) AS hour,
    model,
    failed_stage,
    count(*) AS requests,
    count(error) AS errors,
    CAST(coalesce(sum(prompt_tokens), 0) AS BIGINT) AS prompt_tokens,
    CAST(coalesce(sum(completion_tokens), 0) AS BIGINT) AS completion_tokens,
    CAST(coalesce(sum(total_tokens), 0) AS BIGINT) AS total_tokens,
    coalesce(sum(llm_credits), 0) AS llm_credits,
    coalesce(sum(tts_credits), 0) AS tts_credits,
    coalesce(sum(total_credits), 0) AS total_credits,
    sketch(latency_ms) AS latency_ms,
    sketch(first_latency_ms) AS first_latency_ms,
    coalesce(sum(latency_ms), 0) AS latency_ms_sum,
    coalesce(sum(audio_ms), 0) AS audio_ms
FROM day_rows
GROUP BY ALL;
