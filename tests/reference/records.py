"""Reddit's and YouTube's files read plainly: whole into memory, one `json.loads` a line.

Nothing here is shared with the engine: this is what its counts and its decoded rows are checked against.
"""

import bz2
import json
import os
import re
import shutil
import subprocess
import sys
import zlib

BOM = b"\xef\xbb\xbf"


def fail(message):
    """Ends the program: it could not do what was asked (status 2, where a difference is 1)."""
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(2)


def unzstd(data, path):
    """Decompresses frames with windows of up to 2 GiB, with the library or the command, whichever is there."""
    try:
        import zstandard
    except ImportError:
        command = shutil.which("zstd")
        if command is None:
            fail(f"cannot decompress {path}: install the zstd command or the Python package zstandard")
        done = subprocess.run([command, "-dcq", "--long=31"], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        return done.stdout, done.returncode == 0
    return members(data, lambda: zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj(), zstandard.ZstdError)


def members(data, decompressor, *errors):
    """The content of all members (frames, streams) up to the end or to the damage, and whether it was the end."""
    parts = []
    while data:
        member = decompressor()
        # Piece by piece, so that what precedes the damage is kept.
        for at in range(0, len(data), 1 << 16):
            try:
                parts.append(member.decompress(data[at : at + (1 << 16)]))
            except (EOFError, OSError, *errors):
                return b"".join(parts), False
            if member.eof:
                break
        if not member.eof:
            return b"".join(parts), False
        data = member.unused_data + data[at + (1 << 16) :]
    return b"".join(parts), True


def read(path):
    """A file's content, decompressed by what it is and not by its name, and whether it is whole."""
    with open(path, "rb") as file:
        data = file.read()
    whole = True
    if data[:4] == b"\x28\xb5\x2f\xfd":
        data, whole = unzstd(data, path)
    elif data[:2] == b"\x1f\x8b":
        data, whole = members(data, lambda: zlib.decompressobj(31), zlib.error)
    elif data[:3] == b"BZh":
        data, whole = members(data, bz2.BZ2Decompressor)
    return data.removeprefix(BOM), whole


def walk(places):
    """All files below the folders, and the files named, by path."""
    for place in places:
        if not os.path.exists(place):
            fail(f"there is no file or folder {place}")
        if os.path.isfile(place):
            yield place
        for folder, _, names in os.walk(place):
            yield from (os.path.join(folder, name) for name in names)


def things(document, kind=None):
    """The (kind, data) that a JSON value holds: a bare record, `{kind, data}`, a listing, a snapshot of one."""
    if not isinstance(document, dict):
        yield "bad", document
    elif isinstance(document.get("listing"), dict):
        yield from things(document["listing"])
    elif document.get("kind") == "Listing" and isinstance(document.get("data"), dict):
        for child in document["data"].get("children") or []:
            yield from things(child)
    elif isinstance(document.get("data"), dict) and isinstance(document.get("kind"), str):
        yield {"t1": "comment", "t3": "submission"}.get(document["kind"], "other"), document["data"]
    elif not isinstance(document.get("id"), str):
        yield "bad", document
    else:
        yield "submission" if "title" in document else "comment", document


def records(path):
    """Every record of a file in order, as (kind, data); what is none as ("bad", why)."""
    data, whole = read(path)
    lines = data.split(b"\n")
    filled = [line for line in lines if line.strip()]
    if not filled:
        yield "bad", "nothing in it"
        return
    if whole and len(filled) > 1 and not parses(filled[0]) and (document := parses(data)) is not None:
        yield from things(document)
        return
    for line in filled:
        document = parses(line)
        if document is None:
            yield "bad", "not JSON"
        else:
            yield from things(document)
    if not whole:
        yield "bad", "damaged"


def parses(text):
    """The JSON value, or None."""
    try:
        return json.loads(text)
    except ValueError:
        return None


def count(places):
    """How many records of which kind each file holds, and in all."""
    files, total = {}, {"files": 0, "lines": 0, "records": 0, "comment": 0, "submission": 0, "other": 0, "bad": 0}
    ids = {"comment": set(), "submission": set()}
    for path in sorted(walk(places)):
        data, whole = read(path)
        one = dict.fromkeys(total, 0) | {"lines": sum(1 for line in data.split(b"\n") if line.strip())}
        del one["files"]
        for kind, record in records(path):
            one["records"] += 1
            one[kind] += 1
            if kind in ids:
                ids[kind].add(record.get("id"))
        files[path] = one | {"whole": whole}
        total["files"] += 1
        for name, number in one.items():
            total[name] += number
    return {"files": files, "total": total | {f"distinct_{kind}_ids": len(found) for kind, found in ids.items()}}


def microseconds(value):
    """A time in any of the dumps' forms as microseconds since 1970, or None."""
    if value is None or isinstance(value, bool) or value == "":
        return None
    return int(value) * 1_000_000 if isinstance(value, (int, str)) and "." not in str(value) else round(float(value) * 1e6)


def newest(paths, kind):
    """The newest version of every record of a kind, files by name: the later `retrieved_on` where both have one, else
    and on ties the later arrival."""
    best = {}
    for path in paths:
        for found, data in records(path):
            if found != kind or not isinstance(data.get("id"), str):
                continue
            before = best.get(data["id"])
            times = [microseconds(version.get("retrieved_on", version.get("retrieved_utc"))) for version in (data, before or {})]
            if before is None or None in times or times[0] >= times[1]:
                best[data["id"]] = data
    return best


def comment_rows(paths):
    """Rows of the lake's table of comments, as dictionaries."""
    for data in newest(paths, "comment").values():
        row = {name: data.get(name) for name in ("id", "subreddit", "author", "score", "body", "link_id", "parent_id")}
        yield row | {name: microseconds(data.get(key)) for name, key in (("created_utc", "created_utc"), ("edited_at", "edited"))}


def submission_rows(paths):
    """Rows of the submissions that the main job reads, as dictionaries."""
    for data in newest(paths, "submission").values():
        row = {name: data.get(name) for name in ("id", "subreddit", "score", "title", "selftext", "url")}
        yield row | {"created_utc": microseconds(data.get("created_utc"))}


ID_IN_NAME = re.compile(r"(?:^|[^A-Za-z0-9_-])\[?([A-Za-z0-9_-]{11})\]?(?:\.[A-Za-z0-9-]+)*$")


def transcript_ids(places):
    """The ids of the videos that have a transcript with a line in it, from the document, else from the file's name."""
    for path in sorted(walk(places)):
        data, _ = read(path)
        document = parses(data)
        if isinstance(document, dict) and isinstance(document.get("video_id"), str):
            yield document["video_id"]
        elif data.strip() and (name := ID_IN_NAME.search(os.path.basename(path))):
            yield name.group(1)
