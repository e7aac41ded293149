#!/usr/bin/env python3
"""Tests of the reference itself: on a tiny lake made by hand it must agree, and on every spoilt one it must not.

    python -m unittest discover -s tests/reference
"""

import bz2
import gzip
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import pulse
from records import count, microseconds, newest, records
from videos import youtube_video_ids

VIDEO, OTHER = "abcDEF-_123", "zzzzzzzzzzz"
JOB = "-- VALUES ('no')\nCREATE VIEW stop_words AS SELECT * FROM (VALUES {}) AS t (word);\n".format(
    ", ".join(f"('{word}')" for word in "the and you that was for are with his they".split())
)
T = 1_767_225_600  # 2026-01-01T00:00:00Z
INPUT = {
    "comments": [
        ("c1", "A", "ann", T + 10, 3, "The KEEN it’s keen; and don't! https://youtu.be/" + VIDEO, "t3_s1", "t3_s1", None),
        ("c2", "A", "bob", T + 20, -1, "bee bee \u0130xx ox", "t3_s1", "t1_c1", T + 99),
        ("c3", "A", "ann", T + 3600, 5, None, "t3_s1", "t3_s1", None),
        ("c4", "B", None, T + 86_399, None, f"v https://www.youtube.com/watch?a=b&amp;v={VIDEO} {OTHER}", None, None, None),
    ],
    "submissions": [("s1", "B", 7, "look", None, "https://www.youtube.com/shorts/" + OTHER, T + 5)],
    "transcripts": [(VIDEO,), (VIDEO,)],
}
# Worked out by hand.
RESULTS = {
    "comments": INPUT["comments"],
    "activity_hourly": [("A", T, 2, 2, 2), ("A", T + 3600, 1, 5, 1), ("B", T + 23 * 3600, 1, None, 0)],
    "mentions": [
        ("comment", "c1", "A", 3, T + 10, VIDEO),
        ("comment", "c4", "B", None, T + 86_399, VIDEO),
        ("submission", "s1", "B", 7, T + 5, OTHER),
    ],
    "video_buzz": [(VIDEO, 2, 3, 2, T + 86_399)],
    "trending_terms": [
        *[("A", T, rank + 1, term, uses) for rank, (term, uses) in enumerate(
            [("bee", 2), ("keen", 2), ("abcdef", 1), ("don", 1), ("https", 1), ("youtu", 1)])],
        *[("B", T, rank + 1, term, 1) for rank, term in enumerate(
            ["abcdef", "amp", "com", "https", "watch", "www", "youtube", "zzzzzzzzzzz"])],
    ],
}


def literal(value, type):
    if value is None:
        return f"CAST(NULL AS {type})"
    if type == pulse.TIME:
        return f"make_timestamptz({value * 1_000_000}::BIGINT)"
    if type == pulse.DAY:
        return f"make_timestamp({value * 1_000_000}::BIGINT)::DATE"
    return pulse.quoted(value) if type == pulse.TEXT else f"{value}::{type}"


def write_table(con, lake, name, columns, rows, delta=False):
    """A table of the lake as one Parquet file, with a Delta log if asked for."""
    folder = os.path.join(lake, name)
    os.makedirs(folder, exist_ok=True)
    parts = [
        "SELECT " + ", ".join(f'{literal(value, type)} AS "{column}"' for value, (column, type) in zip(row, columns.items()))
        for row in rows
    ] or ["SELECT " + ", ".join(f'{literal(None, type)} AS "{column}"' for column, type in columns.items()) + " WHERE false"]
    path = os.path.join(folder, "part-0.parquet")
    con.execute(f"COPY ({' UNION ALL '.join(parts)}) TO {pulse.quoted(path)} (FORMAT parquet)")
    if delta:
        write_log(folder, columns, os.path.getsize(path))


def write_log(folder, columns, size):
    names = {pulse.TEXT: "string", pulse.NUMBER: "long", pulse.TIME: "timestamp", pulse.DAY: "date"}
    fields = [{"name": name, "type": names[type], "nullable": True, "metadata": {}} for name, type in columns.items()]
    schema = json.dumps({"type": "struct", "fields": fields})
    os.makedirs(os.path.join(folder, "_delta_log"))
    actions = [
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {"metaData": {"id": "0", "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
                      "partitionColumns": [], "configuration": {}, "createdTime": 0}},
        {"add": {"path": "part-0.parquet", "partitionValues": {}, "size": size, "modificationTime": 0, "dataChange": True}},
    ]
    with open(os.path.join(folder, "_delta_log", f"{0:020}.json"), "w") as file:
        file.writelines(json.dumps(action) + "\n" for action in actions)


class Lake(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = place.name
        self.lake = os.path.join(place.name, "lake")
        self.job = os.path.join(place.name, "job.sql")
        self.con = pulse.connect()
        with open(self.job, "w") as file:
            file.write(JOB)

    def fill(self, spoilt=None, delta=False, types=None):
        results = RESULTS | (spoilt or {})
        for name, rows in results.items():
            write_table(self.con, self.lake, name, (types or {}).get(name, pulse.TABLES[name]), rows, delta)
        write_table(self.con, self.lake, "submissions", pulse.SUBMISSIONS, INPUT["submissions"], delta)
        write_table(self.con, self.lake, "transcripts", {"video_id": pulse.TEXT}, INPUT["transcripts"], delta)

    def run_compare(self, *arguments):
        """Status and output of the command, as a user runs it."""
        command = [sys.executable, os.path.join(pulse.HERE, "pulse.py"), "compare", self.lake, "--job", self.job, *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def test_a_right_lake_is_equal(self):
        self.fill()
        self.assertEqual(self.run_compare(), (0, "\n".join([
            "comments: 4 rows, equal", "activity_hourly: 3 rows, equal", "mentions: 3 rows, equal",
            "video_buzz: 1 rows, equal", "trending_terms: 14 rows, equal", "all tables are equal", ""])))

    def test_a_right_lake_in_delta_format_is_equal(self):
        if importlib.util.find_spec("duckdb_extension_delta") is None:
            self.skipTest("duckdb-extension-delta is not installed")
        self.fill(delta=True)
        status, output = self.run_compare()
        self.assertEqual(status, 0, output)

    def test_every_spoilt_row_is_found(self):
        for table, rows in RESULTS.items():
            if table == "comments":
                continue
            columns = list(pulse.TABLES[table])
            for at, column in enumerate(columns):
                row = rows[0]
                value = row[at] + (86_400 if column == "day" else 1) if isinstance(row[at], int) else row[at] + "x"
                with self.subTest(table=table, column=column):
                    self.fill({table: [(*row[:at], value, *row[at + 1:]), *rows[1:]]})
                    status, output = self.run_compare()
                    self.assertEqual(status, 1, output)
                    self.assertIn(f"{table}: DIFFERENT: 1 of {len(rows)} rows too many", output)
                    self.assertIn(f"{table}: DIFFERENT: 1 rows missing", output)
                    self.assertIn("1 of 5 tables differ", output)

    def test_hours_that_stand_out_are_worked_out(self):
        # Thirty hours with two comments each, and one with twenty: the deviation is 0, so the spread is 1.
        hours = [(hour, 2) for hour in range(30)] + [(31, 20)]
        comments = [
            (f"c{hour}-{n}", "A", "ann", T + hour * 3600 + n, 1, "x", "t3_s1", "t3_s1", None)
            for hour, number in hours for n in range(number)
        ]
        alert = ("A", T + 31 * 3600, 20, 2.0, 1.0, 18.0, 30)
        self.fill({"comments": comments, "alerts": [alert]})
        self.assertIn("alerts: 1 rows, equal", self.run_compare("--tables", "alerts")[1])
        self.fill({"comments": comments, "alerts": [(*alert[:5], 17.0, 30)]})
        self.assertIn("alerts: DIFFERENT: 1 rows missing", self.run_compare("--tables", "alerts")[1])

    def test_rows_twice_and_rows_missing_are_found(self):
        self.fill({"mentions": RESULTS["mentions"] + RESULTS["mentions"][:1], "video_buzz": []})
        status, output = self.run_compare()
        self.assertEqual(status, 1)
        self.assertIn("mentions: DIFFERENT: 1 of 4 rows too many", output)
        self.assertIn("video_buzz: DIFFERENT: 1 rows missing", output)

    def test_wrong_types_and_missing_tables_are_found(self):
        wrong = {"activity_hourly": pulse.TABLES["activity_hourly"] | {"score": "HUGEINT"}}
        self.fill(types=wrong)
        os.remove(os.path.join(self.lake, "video_buzz", "part-0.parquet"))
        status, output = self.run_compare()
        self.assertEqual(status, 1)
        self.assertIn("activity_hourly: WRONG COLUMNS: column score is", output)
        self.assertIn("video_buzz: MISSING", output)

    def test_from_files(self):
        self.fill()
        reddit, transcripts = os.path.join(self.place, "reddit"), os.path.join(self.place, "transcripts")
        os.makedirs(reddit)
        os.makedirs(transcripts)
        names = list(pulse.TABLES["comments"])
        lines = []
        for row in INPUT["comments"]:
            record = dict(zip(names, row)) | {"retrieved_on": T}
            record["edited"] = record.pop("edited_at") or False
            lines += [record | {"body": "old", "retrieved_on": T - 1}, record, record | {"body": "older", "retrieved_on": T - 2}]
        with open(os.path.join(reddit, "RC_1"), "w") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.write("{\n")
        with open(os.path.join(reddit, "RS_1"), "w") as file:
            file.writelines(json.dumps(dict(zip(pulse.SUBMISSIONS, row))) + "\n" for row in INPUT["submissions"])
        with open(os.path.join(transcripts, f"{VIDEO}.en.vtt"), "w") as file:
            file.write("WEBVTT\n")
        status, output = self.run_compare("--reddit", reddit, "--transcripts", transcripts)
        self.assertEqual(status, 0, output)
        os.remove(os.path.join(transcripts, f"{VIDEO}.en.vtt"))
        status, output = self.run_compare("--reddit", reddit, "--transcripts", transcripts)
        self.assertEqual(status, 1)
        self.assertIn("video_buzz: DIFFERENT: 1 of 1 rows too many", output)

    def test_what_cannot_be_found_out_is_status_2(self):
        self.assertEqual(self.run_compare(), (2, f"error: there is no folder {self.lake}\n"))
        self.fill()
        with open(self.job, "w") as file:
            file.write("SELECT 1")
        self.assertEqual(self.run_compare(), (2, f"error: found no VALUES with the stop words in {self.job}\n"))


class Files(unittest.TestCase):
    def setUp(self):
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = place.name

    def write(self, name, data):
        path = os.path.join(self.place, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def kinds(self, name, data):
        return [kind for kind, _ in records(self.write(name, data))]

    def test_lines_in_every_compression(self):
        lines = b'{"id":"a","body":"x"}\n\n{"id":"b","title":"x"}\nnot json\n{"body":"no id"}\n{"id":"c","body":""}'
        expect = ["comment", "submission", "bad", "bad", "comment"]
        self.assertEqual(self.kinds("plain", lines), expect)
        self.assertEqual(self.kinds("bom", b"\xef\xbb\xbf" + lines), expect)
        self.assertEqual(self.kinds("misnamed.zst", gzip.compress(lines)), expect)
        self.assertEqual(self.kinds("x.bz2", bz2.compress(lines) + bz2.compress(b"\n" + lines)), expect * 2)
        self.assertEqual(self.kinds("cut.gz", gzip.compress(lines)[:-4]), [*expect, "bad"])
        self.assertEqual(self.kinds("empty", b""), ["bad"])

    def test_zstd_with_a_long_window(self):
        if shutil.which("zstd") is None:
            self.skipTest("the zstd command is not installed")
        packed = subprocess.run(["zstd", "-qc", "--long=31"], input=b'{"id":"a"}\n' * 3, capture_output=True).stdout
        self.assertEqual(self.kinds("x", packed), ["comment"] * 3)
        self.assertEqual(self.kinds("cut", packed[:-1])[-1], "bad")

    def test_listings_snapshots_and_objects(self):
        child = lambda kind, id: {"kind": kind, "data": {"id": id}}
        listing = {"kind": "Listing", "data": {"children": [child("t3", "a"), child("t1", "b"), child("more", "c")]}}
        expect = ["submission", "comment", "other"]
        self.assertEqual(self.kinds("one", json.dumps(listing).encode()), expect)
        self.assertEqual(self.kinds("pretty", json.dumps(listing, indent=2).encode()), expect)
        snapshots = (json.dumps({"fetched_at": 1, "listing": listing}) + "\n") * 2
        self.assertEqual(self.kinds("snapshots", snapshots.encode()), expect * 2)
        self.assertEqual(self.kinds("objects", (json.dumps(child("t1", "x")) + "\n").encode()), ["comment"])

    def test_counts(self):
        self.write("a", b'{"id":"a"}\n{"id":"a"}\nbad\n')
        self.write("b", b'{"id":"a","title":""}\n')
        total = count([self.place])["total"]
        self.assertEqual(total, {"files": 2, "lines": 4, "records": 4, "comment": 2, "submission": 1, "other": 0, "bad": 1,
                                 "distinct_comment_ids": 1, "distinct_submission_ids": 1})

    def test_newest(self):
        version = lambda body, **more: json.dumps({"id": "a", "body": body, **more}).encode() + b"\n"
        check = lambda expect, *lines: self.assertEqual(newest([self.write("v", b"".join(lines))], "comment")["a"]["body"], expect)
        check("2", version("1"), version("2"))
        check("1", version("1", retrieved_on=9), version("2", retrieved_on=8))
        check("2", version("1", retrieved_on=9), version("2", retrieved_on=9))
        check("2", version("1", retrieved_on=9), version("2"))

    def test_times(self):
        for value, expect in ((1, 10**6), ("1", 10**6), (1.5, 1_500_000), ("2.0", 2 * 10**6), (False, None), (True, None), (None, None)):
            self.assertEqual(microseconds(value), expect)


class Videos(unittest.TestCase):
    def test_forms(self):
        for form in (
            "https://www.youtube.com/watch?v={}", "https://youtu.be/{}?t=1", "https://www.youtube.com/watch?a=b&amp;v={}&amp;c=d",
            "[x](https://m.youtube.com/shorts/{})", "https://music.youtube.com/watch?v={}", "https://www.youtube.com/live/{}?si=1",
            "http://www.youtube-nocookie.com/embed/{}", "http://www.youtube.com/v/{}", "youtube.com/watch?v={}xyz", "www.youtube.com/embed/{}",
            "https://www.google.com/url?q=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{}", "http://www.youtube.com/user/x#p/u/0/{}",
        ):
            self.assertEqual(youtube_video_ids("before " + form.format(VIDEO) + " after"), [VIDEO], form)

    def test_none(self):
        for text in (None, "", "youtube", f"youtube.com/{VIDEO}", f"https://www.youtube.com/live/{VIDEO}x", "youtube.com/embed/videoseries",
                     f"vimeo.com/watch?v={VIDEO}", "https://www.youtube.com/watch?v=short"):
            self.assertEqual(youtube_video_ids(text), [], text)

    def test_each_once_in_order(self):
        text = f"https://youtu.be/{OTHER} https://www.youtube.com/watch?v={VIDEO} youtu.be/{OTHER}"
        self.assertEqual(youtube_video_ids(text), [OTHER, VIDEO])


if __name__ == "__main__":
    unittest.main()
