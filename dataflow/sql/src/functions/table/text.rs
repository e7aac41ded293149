//! Functions of text.

use super::{Function, scalars};

/// By name.
#[rustfmt::skip]
pub(super) const FUNCTIONS: &[Function] = scalars! {
    "ascii", "text → int", "the code point of the first character", never;
    "bit_length", "text → int", "how many bits it takes", never;
    "btrim trim", "text[, characters] → text", "without spaces, or the characters, at both ends", never;
    "character_length length char_length", "text → int", "how many characters it has", never;
    "chr", "int → text", "the character of a code point", "there is no such character";
    "concat", "text, … → text", "all in a row; a null is nothing", never;
    "concat_ws", "delimiter, text, … → text", "all that are not null, the delimiter between them", never;
    "contains", "text, part → bool", "whether the part stands in it", never;
    "ends_with", "text, part → bool", "whether it ends so", never;
    "find_in_set", "text, list → int", "where the text stands in a list with commas; 0 if nowhere", never;
    "initcap", "text → text", "each word with a capital letter", never;
    "left", "text, n → text", "the first n characters; without the last −n where n is negative", never;
    "levenshtein", "text, text → int", "how many characters differ", bounded within Distance;
    "lower", "text → text", "in small letters", never;
    "lpad", "text, n[, fill] → text", "n characters, filled up at the front or cut", bounded within Pad;
    "ltrim", "text[, characters] → text", "without spaces, or the characters, at the front", never;
    "octet_length", "text → int", "how many bytes it takes", never;
    "overlay", "text PLACING part FROM n [FOR count] → text", "with the part from the n-th character on", "n is below 1";
    "regexp_count", "text, pattern[, start[, flags]] → int", "how often the pattern matches", "the pattern is not valid" within Regex;
    "regexp_instr", "text, pattern[, start[, n[, flags[, group]]]] → int", "where the n-th match stands", "the pattern is not valid" within Regex;
    "regexp_like", "text, pattern[, flags] → bool", "whether the pattern matches", "the pattern is not valid" within Regex;
    "regexp_match", "text, pattern[, flags] → list", "the groups of the first match", "the pattern is not valid" within Regex;
    "regexp_replace", "text, pattern, replacement[, flags] → text", "with the first match replaced, all with the flag g", "the pattern is not valid" within RegexReplace;
    "repeat", "text, n → text", "n times", bounded within Repeat;
    "replace", "text, from, to → text", "with each from replaced", bounded within Replace;
    "reverse", "text → text", "backwards", never;
    "right", "text, n → text", "the last n characters; without the first −n where n is negative", never;
    "rpad", "text, n[, fill] → text", "n characters, filled up at the end or cut", bounded within Pad;
    "rtrim", "text[, characters] → text", "without spaces, or the characters, at the end", never;
    "split_part", "text, delimiter, n → text", "the n-th part, from the end where n is negative", "n is 0";
    "starts_with", "text, part → bool", "whether it starts so", never;
    "strpos instr position", "text, part → int", "where the part first stands; 0 if nowhere", never;
    "substr substring", "text, start[, count] → text", "from the start-th character on", "count is negative, or start + count does not fit";
    "substr_index substring_index", "text, delimiter, n → text", "up to the n-th delimiter, from the end where n is negative", never;
    "to_hex", "int → text", "in hexadecimal digits", never;
    "translate", "text, from, to → text", "each character of from as that of to", never;
    "upper", "text → text", "in capital letters", never;
    "words", "text → list", "its words: runs of three or more of a–z, lower-cased", never;
    "youtube_video_ids", "text → list", "the ids of the YouTube videos that it links, each once", never;
};
