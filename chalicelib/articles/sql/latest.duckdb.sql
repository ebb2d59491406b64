-- The newest state of every article, for DuckDB (docs/sync.md).
--
--   SET VARIABLE lake = 's3://the-bucket';   -- or a folder with a copy of it; no slash at the end
--   .read latest.duckdb.sql
--   SELECT group_id, article ->> '$.Title' FROM articles_latest WHERE utm_source = 'xxxx_default_content';
--
-- Lines are read as text and cut in two before `article`, which is every row's last member. A JSON reader would
-- round decimals, and would refuse the whole lake for one title that ends in half an emoji.

CREATE OR REPLACE VIEW articles_log AS
WITH stored AS (
    SELECT
        filename,
        line,
        strpos(line, ',"article":') AS cut
    -- One pattern for articles/ and backfill/: a pattern that finds nothing would be an error.
    FROM read_csv(
        getvariable('lake') || '/[ab][ra]*/utm_source=*/**/*.jsonl.gz',
        columns = {'line': 'VARCHAR'},
        auto_detect = false, header = false, delim = E'\x01', quote = '', escape = '', filename = true
    )
    WHERE regexp_matches(filename, '/(articles|backfill)/utm_source=')
), parts AS (
    SELECT
        filename,
        (line[1:cut - 1] || '}')::JSON AS head,
        line[cut + 11:-2] AS article
    FROM stored
)
SELECT
    url_decode(regexp_extract(filename, '/utm_source=([^/]+)/', 1)) AS utm_source,
    regexp_extract(filename, '/dt=([^/]+)/', 1)::DATE AS dt,
    head ->> '$.group_id' AS group_id,
    head ->> '$.op' AS op,
    head ->> '$.observed_at' AS observed_at,
    (head ->> '$.seq')::BIGINT AS seq,
    (head ->> '$.pos')::BIGINT AS pos,
    head ->> '$.run_id' AS run_id,
    head ->> '$.request_id' AS request_id,
    (head ->> '$.miss_reason')::INTEGER AS miss_reason,
    head ->> '$.content_sha256' AS content_sha256,
    nullif(article, 'null') AS article
FROM parts;

CREATE OR REPLACE VIEW articles_latest AS
SELECT utm_source, group_id, observed_at, seq, pos, run_id, request_id, content_sha256, article
FROM articles_log
QUALIFY op = 'upsert' AND 1 = row_number() OVER (
    PARTITION BY utm_source, group_id ORDER BY observed_at DESC, seq DESC, pos DESC
);
