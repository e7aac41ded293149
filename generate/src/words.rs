//! A vocabulary, and running text made of it.
//!
//! 50,000 distinct words drawn by Zipf's law. The first fifty are English stop words, so that two words in five of
//! any text are among them, as in real text; the others are made of syllables. About 2 % are or hold something outside
//! ASCII (accents, other scripts, emoji of several code points), some are capitalised.

use std::collections::HashSet;

use super::rng::{Rng, Shapes, Stream, Weighted};

/// The fifty words that the main job leaves out of its trending terms.
pub const STOP_WORDS: [&str; 50] = [
    "the", "and", "you", "that", "was", "for", "are", "with", "his", "they", "this", "have", "from", "one", "had",
    "word", "but", "not", "what", "all", "were", "when", "your", "can", "said", "there", "use", "each", "which", "she",
    "how", "their", "will", "other", "about", "out", "many", "then", "them", "these", "some", "her", "would", "make",
    "like", "him", "into", "time", "has", "look",
];

/// Words of the vocabulary.
const WORDS: usize = 50_000;

/// Tokens outside ASCII: Latin with marks, Greek, Cyrillic, Hebrew, Arabic, CJK, typographic signs, emoji with a
/// modifier, a joiner, a flag. None changes its length class when lower-cased by one library and not by another.
const FOREIGN: [&str; 28] = [
    "crème",
    "façade",
    "größer",
    "piñata",
    "años",
    "garçon",
    "smørrebrød",
    "Åse",
    "ÜBUNG",
    "naïveté",
    "zażółć",
    "γειά",
    "καλημέρα",
    "Спасибо",
    "хорошо",
    "שלום",
    "مرحبا",
    "漢字",
    "映画館",
    "ありがとう",
    "안녕하세요",
    "🎉",
    "👀",
    "🤦🏾‍♂️",
    "🇳🇴",
    "can’t",
    "“so-called”",
    "…",
];

const ONSETS: [&str; 20] =
    ["b", "c", "d", "f", "g", "h", "j", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z", "pl", "tr"];
const VOWELS: [&str; 6] = ["a", "e", "i", "o", "u", "ea"];
const CODAS: [&str; 9] = ["n", "r", "s", "t", "l", "m", "nd", "x", "p"];

/// What stands between two words, with its weight out of 256.
const SEPARATORS: [(&str, usize); 14] = [
    (" ", 186),
    (", ", 20),
    (". ", 16),
    (".\n\n", 5),
    ("! ", 4),
    ("? ", 4),
    (" \"", 3),
    ("\" ", 3),
    (" (", 3),
    (") ", 3),
    ("\n&gt; ", 3),
    (" \\* ", 3),
    ("\t", 1),
    (" &amp; ", 2),
];

/// A pronounceable word of `syllables` syllables in lower-case ASCII.
pub(crate) fn word(rng: &mut Rng, syllables: u64) -> String {
    let mut word = String::new();
    for _ in 0..syllables {
        word.push_str(rng.pick(&ONSETS));
        word.push_str(rng.pick(&VOWELS));
        if rng.chance(350) {
            word.push_str(rng.pick(&CODAS));
        }
    }
    word
}

/// `word` with its first letter, which must be ASCII, in upper case.
pub(crate) fn capital(mut word: String) -> String {
    if let Some(first) = word.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    word
}

/// Draws running text.
pub(crate) struct Text {
    words: Vec<Box<str>>,
    frequency: Weighted,
    separators: Vec<&'static str>,
}

impl Text {
    /// The vocabulary of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed, Stream::World, 0);
        let mut words: Vec<Box<str>> = STOP_WORDS.into_iter().map(Box::from).collect();
        let mut seen: HashSet<String> = STOP_WORDS.into_iter().map(String::from).collect();
        while words.len() < WORDS {
            let syllables = 1 + rng.below(4);
            let plain = word(&mut rng, syllables);
            if seen.insert(plain.clone()) {
                words.push(dress(&mut rng, plain).into());
            }
        }
        let separators = SEPARATORS.iter().flat_map(|&(text, weight)| std::iter::repeat_n(text, weight)).collect();
        Text { words, frequency: Weighted::zipf(WORDS, false), separators }
    }

    /// Appends a text of about `bytes` bytes: two words at least, and at most some 40 bytes more than asked for.
    pub(crate) fn write(&self, rng: &mut Rng, bytes: usize, out: &mut String) {
        let start = out.len();
        let (mut words, mut between) = (0, 0);
        loop {
            out.push_str(&self.words[self.frequency.draw(rng)]);
            words += 1;
            if words >= 2 && out.len() - start >= bytes {
                return;
            }
            if words % 8 == 1 {
                between = rng.bits();
            }
            out.push_str(self.separators[(between & 0xFF) as usize]);
            between >>= 8;
        }
    }

    /// As [`Text::write`], with a length about `median`, from `low` to `high` bytes.
    pub(crate) fn write_about(&self, rng: &mut Rng, shapes: &Shapes, [median, low, high]: [u32; 3], out: &mut String) {
        let bytes = shapes.log_normal(rng, median, low, high);
        self.write(rng, bytes as usize, out);
    }
}

/// A word as the vocabulary holds it: 2 % foreign, 5 % capitalised, 1 % in capitals.
fn dress(rng: &mut Rng, plain: String) -> String {
    match rng.below(1000) {
        0..5 => plain + rng.pick(&FOREIGN),
        5..20 => rng.pick(&FOREIGN).to_owned(),
        20..70 => capital(plain),
        70..80 => plain.to_uppercase(),
        _ => plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_in_five_are_stop_words() {
        let (text, mut rng) = (Text::new(7), Rng::new(7, Stream::Sample, 0));
        let mut out = String::new();
        text.write(&mut rng, 200_000, &mut out);
        let words: Vec<&str> = out.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() >= 3).collect();
        let stop = words.iter().filter(|word| STOP_WORDS.contains(word)).count();
        let percent = 100 * stop / words.len();
        assert!((33..=47).contains(&percent), "{percent} % stop words");
        assert!(out.contains('\t') && out.contains('"') && out.contains("\\*") && !out.is_ascii());
    }

    #[test]
    fn separators_weigh_256() {
        assert_eq!(SEPARATORS.iter().map(|(_, weight)| weight).sum::<usize>(), 256);
    }

    #[test]
    fn stop_words_are_fifty_words_of_three_letters_or_more() {
        let distinct: HashSet<&str> = STOP_WORDS.into_iter().collect();
        assert_eq!(distinct.len(), 50);
        assert!(STOP_WORDS.iter().all(|word| word.len() >= 3 && word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
