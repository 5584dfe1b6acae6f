-- Daily tokens and credits, by model
--
-- grain:      one row a UTC day and model
-- input:      requests | documents
-- column:     requests.model VARCHAR = llm.model
-- column:     requests.prompt_tokens NUMBER = llm.promptTokens
-- column:     requests.completion_tokens NUMBER = llm.completionTokens
-- column:     requests.total_tokens NUMBER = llm.totalTokens
-- optional:   requests.llm_credits NUMBER = cost.llmCredits
-- optional:   requests.total_credits NUMBER = cost.totalCredits
-- parameters: from_day, to_day, every
-- x:          day
-- series:     model
-- panel:      tokens a day | stacked | total_tokens
-- panel:      LLM credits a day | lines | llm_credits
--
-- A request whose LLM call failed counts with 0 tokens.
SELECT
    period_start(day, $every, $from_day) AS day,
    model,
    count(*) AS requests,
    coalesce(sum(prompt_tokens), 0) AS prompt_tokens,
    coalesce(sum(completion_tokens), 0) AS completion_tokens,
    coalesce(sum(total_tokens), 0) AS total_tokens,
    round(sum(llm_credits), 4) AS llm_credits,
    round(sum(total_credits), 4) AS total_credits
FROM requests
GROUP BY ALL
ORDER BY day, model;
