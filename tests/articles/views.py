"""The shipped SQL, run by DuckDB over a copy of a lake; Athena's is translated first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import sqlglot

if TYPE_CHECKING:
    from tests.articles.support import Lake

SQL = Path(__file__).resolve().parents[2] / "chalicelib" / "articles" / "sql"
DUCKDB = (SQL / "latest.duckdb.sql").read_text()
ATHENA = (SQL / "latest.athena.sql").read_text()

# What the tables of the template are to Athena, said to DuckDB.
TEXT_TABLE = """
    CREATE VIEW {name} AS
    SELECT * FROM read_csv(
        '{folder}/{name}/**/*.jsonl.gz', columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false,
        delim = E'\\x01', quote = '', escape = '', hive_partitioning = true
    )
"""
EMPTY_TABLE = "CREATE TABLE {name} (utm_source VARCHAR, line VARCHAR)"


def download(lake: Lake, folder: Path) -> None:
    for key in lake.keys(""):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read())


def by_duckdb(folder: Path) -> list[dict[str, Any]]:
    with duckdb.connect() as connection:
        connection.execute("SET VARIABLE lake = ?", [str(folder)])
        connection.execute(DUCKDB)
        return rows_of(connection)


def by_athena(folder: Path) -> list[dict[str, Any]]:
    (statement,) = sqlglot.transpile(ATHENA, read="athena", write="duckdb")
    with duckdb.connect() as connection:
        for name in ("articles", "backfill"):
            table = TEXT_TABLE if (folder / name).exists() else EMPTY_TABLE
            connection.execute(table.format(name=name, folder=folder))
        connection.execute(statement)
        return rows_of(connection)


def rows_of(connection: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    found = connection.execute("SELECT * FROM articles_latest ORDER BY utm_source, group_id")
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
