-- Tokens and credits a day by model
--
-- grain:      one row a UTC day and model
-- inputs:     usage_analytics
-- parameters: from_day, to_day (DATE, half-open)
-- x:          day
-- series:     model
-- panel:      tokens a day | stacked | total_tokens
-- panel:      LLM credits a day | lines | llm_credits
--
-- A request whose LLM call failed counts with 0 tokens.
SELECT
    day,
    llm.model AS model,
    count(*) AS requests,
    CAST(coalesce(sum(llm."promptTokens"), 0) AS BIGINT) AS prompt_tokens,
    CAST(coalesce(sum(llm."completionTokens"), 0) AS BIGINT) AS completion_tokens,
    CAST(coalesce(sum(llm."totalTokens"), 0) AS BIGINT) AS total_tokens,
    round(sum(cost."llmCredits"), 4) AS llm_credits,
    round(sum(cost."totalCredits"), 4) AS total_credits
FROM usage_analytics_between($from_day, $to_day)
GROUP BY day, model
ORDER BY day, model;
