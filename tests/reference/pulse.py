#!/usr/bin/env python3
"""The main job's tables, computed again by DuckDB and compared row for row.

    pulse.py compare LAKE                                  from the lake's own comments, submissions and transcripts
    pulse.py compare LAKE --decoded LAKE2                  from these relations in another lake
    pulse.py compare LAKE --reddit DIR --transcripts DIR   from the input files themselves
    pulse.py count PLACE...                                the records in files, as JSON

A table is a folder of the lake, in Delta format if it has a `_delta_log`, else plain Parquet. Prints a line a table and
the first differences; ends with 0 if all is equal, 1 if not, 2 if it could not be found out. Needs what requirements.txt
names, and the command `zstd` (or the package zstandard) for compressed input.
"""

import argparse
import glob
import importlib.util
import json
import os
import re
import sys
import tempfile

from records import comment_rows, count, fail, submission_rows, transcript_ids
from videos import youtube_video_ids

HERE = os.path.dirname(os.path.abspath(__file__))
JOB = os.path.join(HERE, "..", "..", "examples", "pulse.sql")
SHOWN = 5
TEXT, NUMBER, REAL, TIME, DAY = "VARCHAR", "BIGINT", "DOUBLE", "TIMESTAMP WITH TIME ZONE", "DATE"
TABLES = {
    "comments": {
        "id": TEXT, "subreddit": TEXT, "author": TEXT, "created_utc": TIME, "score": NUMBER, "body": TEXT,
        "link_id": TEXT, "parent_id": TEXT, "edited_at": TIME,
    },
    "activity_hourly": {"subreddit": TEXT, "hour": TIME, "comments": NUMBER, "score": NUMBER, "authors": NUMBER},
    "mentions": {
        "kind": TEXT, "id": TEXT, "subreddit": TEXT, "score": NUMBER, "created_utc": TIME, "video_id": TEXT,
    },
    "video_buzz": {
        "video_id": TEXT, "mentions": NUMBER, "score": NUMBER, "subreddits": NUMBER, "last_mention": TIME,
    },
    "trending_terms": {"subreddit": TEXT, "day": DAY, "rank": NUMBER, "term": TEXT, "uses": NUMBER},
    "alerts": {
        "subreddit": TEXT, "hour": TIME, "comments": NUMBER, "usual": REAL, "spread": REAL, "deviations": REAL,
        "hours": NUMBER,
    },
}
# Tables that a lake may lack: the main job publishes them to topics.
OPTIONAL = {"alerts"}
SUBMISSIONS = {
    "id": TEXT, "subreddit": TEXT, "score": NUMBER, "title": TEXT, "selftext": TEXT, "url": TEXT, "created_utc": TIME,
}
# Times are microseconds since 1970 throughout, so that no session's time zone has a say.
HOUR, FULL_DAY = 3_600_000_000, 86_400_000_000


def connect():
    """DuckDB with the Delta extension that the package registry has, never one from the network."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; SET autoinstall_known_extensions = false")
    found = importlib.util.find_spec("duckdb_extension_delta")
    if found:
        at = os.path.join(os.path.dirname(found.origin), "extensions", f"v{duckdb.__version__}", "delta.duckdb_extension")
        con.execute(f"LOAD {quoted(at)}")
    return con


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def scan(lake, table):
    """The FROM clause that reads a table, or None if the lake has none of this name."""
    folder = os.path.join(lake, table)
    if os.path.isdir(os.path.join(folder, "_delta_log")):
        return f"delta_scan({quoted(folder)})"
    files = sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*.parquet"), recursive=True))
    return f"read_parquet([{', '.join(map(quoted, files))}], union_by_name = true)" if files else None


def plainly(column, type):
    """A column as text, integer or day: times as microseconds."""
    name = f'"{column}"'
    return f"epoch_us({name}) AS {name}" if type == TIME else name


def import_table(con, name, source, columns):
    """Makes table `name` of the columns, times as integers."""
    fields = ", ".join(plainly(column, type) for column, type in columns.items())
    con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT {fields} FROM {source}")


def wrong_types(con, source, columns):
    """What is wrong with a table's columns, as text."""
    found = {row[0]: row[1] for row in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
    return [f"column {name} is {found.get(name, 'missing')}, not {type}" for name, type in columns.items() if found.get(name) != type]


def load_from_lake(con, lake):
    """comments, submissions and transcripts as an extended job decoded them."""
    for name, columns in (("comments", TABLES["comments"]), ("submissions", SUBMISSIONS), ("transcripts", {"video_id": TEXT})):
        source = scan(lake, name)
        if source is None:
            fail(f"the lake {lake} has no table {name}: let the job sink it, or name the input with --reddit and --transcripts")
        import_table(con, f"in_{name}", source, columns)


def load_from_files(con, reddit, transcripts):
    """The same from the input files."""
    files = lambda pattern: sorted(glob.glob(os.path.join(glob.escape(reddit), pattern)))
    if not files("RC_*"):
        fail(f"there are no files {reddit}/RC_*")
    load_rows(con, "in_comments", comment_rows(files("RC_*")), TABLES["comments"])
    load_rows(con, "in_submissions", submission_rows(files("RS_*")), SUBMISSIONS)
    load_rows(con, "in_transcripts", ({"video_id": id} for id in transcript_ids([transcripts])), {"video_id": TEXT})


def load_rows(con, table, rows, columns):
    """Makes a table of dictionaries, by way of a file: inserting them one by one takes minutes."""
    types = {name: NUMBER if type == TIME else type for name, type in columns.items()}
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")
        file.flush()
        fields = ", ".join(f"{quoted(name)}: {quoted(type)}" for name, type in types.items())
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE {table} AS FROM read_json({quoted(file.name)}, format = 'newline_delimited',"
            f" columns = {{{fields}}}, maximum_object_size = 268435456)"
        )


def stop_words(job):
    """The words of the job's VALUES: the list whose rows are one quoted word each."""
    with open(job, encoding="utf-8") as file:
        text = re.sub(r"--[^\n]*", "", file.read())
    for values in re.findall(r"\bVALUES\s*((?:\(\s*'[^']*'\s*\)\s*,?\s*)+)", text, re.I):
        if len(words := re.findall(r"'([^']*)'", values)) >= 10:
            return words
    fail(f"found no VALUES with the stop words in {job}")


def expect(con, words):
    """Makes tables want_* of the relations in_*."""
    con.execute("CREATE OR REPLACE TEMP TABLE want_comments AS FROM in_comments")
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE want_activity_hourly AS
        SELECT subreddit, created_utc - created_utc % {HOUR} AS hour, count(*) AS comments, sum(score)::BIGINT AS score,
               count(DISTINCT author) AS authors FROM in_comments GROUP BY ALL"""
    )
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE want_alerts AS
        WITH judged AS (
            SELECT subreddit, hour, comments, median(comments::DOUBLE) OVER week AS usual,
                   greatest(1.4826::DOUBLE * mad(comments::DOUBLE) OVER week, 1) AS spread, count(*) OVER week AS hours
            FROM want_activity_hourly
            WINDOW week AS (PARTITION BY subreddit ORDER BY hour
                            RANGE BETWEEN {168 * HOUR} PRECEDING AND {HOUR} PRECEDING))
        SELECT subreddit, hour, comments, usual, spread, (comments - usual) / spread AS deviations, hours
        FROM judged WHERE hours >= 24 AND (comments - usual) / spread > 6"""
    )
    mentions = []
    for kind, table, text in (("comment", "comments", "body"), ("submission", "submissions", "concat_ws(' ', title, selftext, url)")):
        found = con.execute(
            f"SELECT id, subreddit, score, created_utc, {text} FROM in_{table} WHERE contains(lower({text}), 'youtu')"
        ).fetchall()
        columns = ("kind", "id", "subreddit", "score", "created_utc", "video_id")
        mentions += [dict(zip(columns, (kind, *row[:4], id))) for row in found for id in youtube_video_ids(row[4])]
    load_rows(con, "want_mentions", mentions, TABLES["mentions"])
    con.execute(
        """CREATE OR REPLACE TEMP TABLE want_video_buzz AS
        SELECT video_id, count(*) AS mentions, sum(score)::BIGINT AS score, count(DISTINCT subreddit) AS subreddits,
               max(created_utc) AS last_mention
        FROM want_mentions WHERE video_id IN (SELECT video_id FROM in_transcripts) GROUP BY ALL"""
    )
    con.execute("CREATE OR REPLACE TEMP TABLE stop_words AS SELECT unnest(?::VARCHAR[]) AS word", [words])
    # DuckDB lower-cases a capital I with a dot to a bare i; Unicode and the job to an i and a combining dot.
    con.execute(
        f"""CREATE OR REPLACE TEMP TABLE want_trending_terms AS
        WITH terms AS (
            SELECT subreddit, created_utc - created_utc % {FULL_DAY} AS day,
                   unnest(regexp_extract_all(lower(replace(body, chr(304), 'i' || chr(775))), '[a-z]{{3,}}')) AS term
            FROM in_comments),
        counted AS (
            SELECT subreddit, day, term, count(*) AS uses
            FROM terms WHERE term NOT IN (SELECT word FROM stop_words) GROUP BY ALL)
        SELECT subreddit, make_timestamp(day)::DATE AS day,
               row_number() OVER (PARTITION BY subreddit, day ORDER BY uses DESC, term) AS rank, term, uses
        FROM counted QUALIFY rank <= 20"""
    )


def compare_table(con, lake, table):
    """Prints how the lake's table differs from want_*; returns whether it does."""
    columns, source = TABLES[table], scan(lake, table)
    if source is None:
        print(f"{table}: MISSING in {lake}")
        return True
    wrong = wrong_types(con, source, columns)
    if wrong:
        print(f"{table}: WRONG COLUMNS: {'; '.join(wrong)}")
        return True
    import_table(con, "got", source, columns)
    names = ", ".join(f'"{name}"' for name in columns)
    differ = False
    rows = con.execute("SELECT count(*) FROM got").fetchone()[0]
    for left, right, word in (("got", f"want_{table}", "too many"), (f"want_{table}", "got", "missing")):
        query = f"SELECT {names} FROM {left} EXCEPT ALL SELECT {names} FROM {right}"
        number = con.execute(f"SELECT count(*) FROM ({query})").fetchone()[0]
        if number:
            differ = True
            print(f"{table}: DIFFERENT: {number} of {rows} rows {word}" if left == "got" else f"{table}: DIFFERENT: {number} rows {word}")
            for row in con.execute(f"SELECT * FROM ({query}) ORDER BY ALL LIMIT {SHOWN}").fetchall():
                print(f"  {dict(zip(columns, row))}")
    if not differ:
        print(f"{table}: {rows} rows, equal")
    return differ


def compare(arguments):
    """Status 0 if the tables are the reference's, else 1."""
    con = connect()
    if not os.path.isdir(arguments.lake):
        fail(f"there is no folder {arguments.lake}")
    if arguments.reddit:
        load_from_files(con, arguments.reddit, arguments.transcripts)
    else:
        load_from_lake(con, arguments.decoded or arguments.lake)
    expect(con, stop_words(arguments.job))
    tables = arguments.tables or [table for table in TABLES if table not in OPTIONAL or scan(arguments.lake, table)]
    differ = [table for table in tables if compare_table(con, arguments.lake, table)]
    print(f"{len(differ)} of {len(tables)} tables differ" if differ else "all tables are equal")
    return 1 if differ else 0


def main():
    parser = argparse.ArgumentParser(description="The main job's reference.")
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("compare")
    command.add_argument("lake")
    command.add_argument("--job", default=JOB, help="the job file, for its stop words (default: examples/pulse.sql)")
    command.add_argument("--decoded", help="a lake that holds comments, submissions and transcripts (default: LAKE)")
    command.add_argument("--reddit", help="the folder of RC_* and RS_* files")
    command.add_argument("--transcripts", help="the folder of transcripts")
    command.add_argument("--tables", nargs="+", choices=TABLES, help="(default: those that the lake has to have)")
    command.set_defaults(run=compare)
    command = commands.add_parser("count")
    command.add_argument("places", nargs="+")
    command.set_defaults(run=lambda arguments: print(json.dumps(count(arguments.places), indent=1)) or 0)
    arguments = parser.parse_args()
    if getattr(arguments, "reddit", None) and not arguments.transcripts:
        parser.error("--reddit needs --transcripts")
    sys.exit(arguments.run(arguments))


if __name__ == "__main__":
    main()
