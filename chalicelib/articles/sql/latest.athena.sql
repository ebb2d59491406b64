-- The newest state of every article, for Athena, over the tables of the template (docs/sync.md).
--
--   aws athena start-query-execution --query-execution-context Database=THE_STACK \
--       --query-string file://latest.athena.sql --work-group primary
--   SELECT group_id, json_extract_scalar(article, '$.Title') FROM articles_latest
--       WHERE utm_source = 'xxxx_default_content'
--
-- The tables have each line as text, which is cut in two before `article`, every row's last member.

CREATE OR REPLACE VIEW articles_latest AS
WITH stored AS (
    SELECT utm_source, line, strpos(line, ',"article":') AS cut FROM articles
    UNION ALL
    SELECT utm_source, line, strpos(line, ',"article":') AS cut FROM backfill
), parts AS (
    SELECT
        utm_source,
        substr(line, 1, cut - 1) || '}' AS head,
        substr(line, cut + 11, length(line) - cut - 11) AS article
    FROM stored
), observed AS (
    SELECT
        utm_source,
        json_extract_scalar(head, '$.group_id') AS group_id,
        json_extract_scalar(head, '$.op') AS op,
        json_extract_scalar(head, '$.observed_at') AS observed_at,
        CAST(json_extract_scalar(head, '$.seq') AS bigint) AS seq,
        CAST(json_extract_scalar(head, '$.pos') AS bigint) AS pos,
        json_extract_scalar(head, '$.run_id') AS run_id,
        json_extract_scalar(head, '$.request_id') AS request_id,
        json_extract_scalar(head, '$.content_sha256') AS content_sha256,
        article
    FROM parts
), ranked AS (
    SELECT
        *,
        row_number() OVER (
            PARTITION BY utm_source, group_id ORDER BY observed_at DESC, seq DESC, pos DESC
        ) AS newness
    FROM observed
)
SELECT utm_source, group_id, observed_at, seq, pos, run_id, request_id, content_sha256, article
FROM ranked
WHERE newness = 1 AND op = 'upsert'
