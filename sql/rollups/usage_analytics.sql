-- Requests, errors, tokens, credits and latency by hour, model and failed stage
--
-- grain:    one row an hour, model and stage that failed (NULL: no error)
-- keys:     hour, model, failed_stage
-- measures: requests, errors, prompt_tokens, completion_tokens, total_tokens, llm_credits, tts_credits, total_credits, latency_ms, first_latency_ms, latency_ms_sum, audio_ms
-- column:   requested_at TIMESTAMPTZ = timestamp
-- column:   model VARCHAR = llm.model
-- column:   error VARCHAR = error
-- column:   failed_stage VARCHAR = error.stage
-- column:   prompt_tokens NUMBER = llm.promptTokens
-- column:   completion_tokens NUMBER = llm.completionTokens
-- column:   total_tokens NUMBER = llm.totalTokens
-- column:   llm_credits NUMBER = cost.llmCredits
-- column:   tts_credits NUMBER = cost.ttsCredits
-- column:   total_credits NUMBER = cost.totalCredits
-- column:   latency_ms NUMBER = response.totalLatencyMs
-- column:   first_latency_ms NUMBER = response.firstLatencyMs
-- column:   audio_ms NUMBER = tts.audioLengthMs
-- sums:     requests, errors, prompt_tokens, completion_tokens, total_tokens, llm_credits, tts_credits, total_credits, latency_ms_sum, audio_ms
-- rows:     requests
--
-- latency_ms and first_latency_ms are sketches: sketch_quantile(sketch_merge(latency_ms), 0.95).
-- A document without a date counts in the first hour of its day.
SELECT
    coalesce(date_trunc('hour', requested_at), CAST(day AS TIMESTAMPTZ)) AS hour,
    model,
    failed_stage,
    count(*) AS requests,
    count(error) AS errors,
    coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(completion_tokens), 0) AS completion_tokens,
    coalesce(sum(total_tokens), 0) AS total_tokens,
    coalesce(sum(llm_credits), 0) AS llm_credits,
    coalesce(sum(tts_credits), 0) AS tts_credits,
    coalesce(sum(total_credits), 0) AS total_credits,
    sketch(latency_ms) AS latency_ms,
    sketch(first_latency_ms) AS first_latency_ms,
    coalesce(sum(latency_ms), 0) AS latency_ms_sum,
    coalesce(sum(audio_ms), 0) AS audio_ms
FROM day_rows
GROUP BY ALL;
