"""The YouTube videos that a text links, from the written rules and not from the engine's code.

A link goes from the letters `youtu` to white space, a quote, `)`, `<` or `>`. Behind a host in it (`youtu.be`, or a name
with a dot that begins with `youtube`) an id stands in a path (`embed/ID`) or in an argument (`?v=ID`). Forms that
everybody's regular expression knows take eleven characters whatever follows; in all others a twelfth makes it no id.
"""

import re

LINK = re.compile(r"""youtu[^\s"')<>]*""", re.I | re.A)
# Delimiters, percent-encoded any number of times, as they stand inside other links.
ENCODED = re.compile(r"%(?:25)*(2F|3F|3D|26|23|21|3B|3A|2C)", re.I)
ID = r"[A-Za-z0-9_-]{11}"
END = r"(?![A-Za-z0-9_-])"
HOST = r"youtube[A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+)+(?::[0-9]+)?/+"
COMMON = re.compile(rf"(?:youtube\.com/(?:watch\?(?:[^\s)\"']*&)?v=|shorts/|embed/)|youtu\.be/)({ID})")
SHORT = re.compile(rf"youtu\.be/({ID}){END}", re.I)
PATH = re.compile(rf"{HOST}(?:embed|shorts|live|v|e|vi|watch)/({ID}){END}", re.I)
ARGUMENT = re.compile(rf"[?&#!;](?:v|video_id)=({ID}){END}", re.I)
ARGUMENTS = re.compile(rf"[?&#!;]video_ids=((?:{ID},)*{ID}){END}", re.I)
OLD_CHANNEL = re.compile(rf"#p/(?:[A-Za-z0-9_-]+/)*({ID}){END}")
PLAYERS = {"videoseries", "live_stream"}


def plain(link):
    """The link with its delimiters as themselves."""
    link = ENCODED.sub(lambda found: chr(int(found.group(1), 16)), link)
    return link.replace("&amp;", "&").replace("\\_", "_")


def youtube_video_ids(text):
    """Each id once, in order of appearance; none for None."""
    found = []
    for link in LINK.findall(text or ""):
        link = plain(link)
        places = [(m.start(1), m.group(1)) for pattern in (COMMON, SHORT, PATH) for m in pattern.finditer(link)]
        host = re.search(HOST, link, re.I)
        if host:
            for pattern in (ARGUMENT, OLD_CHANNEL):
                places += [(m.start(1), m.group(1)) for m in pattern.finditer(link, host.end() - 1)]
            for many in ARGUMENTS.finditer(link, host.end() - 1):
                places += [(many.start(1) + 12 * at, id) for at, id in enumerate(many.group(1).split(","))]
        found += [id for _, id in sorted(places) if id not in PLAYERS]
    return list(dict.fromkeys(found))
