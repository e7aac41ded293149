//! The options of a `WITH (…)` clause: plain text a person wrote, taken one by one by the connector that knows them.
//!
//! A connector *takes* each option it knows; what is left over is unknown, and [`Options::finish`] refuses it with the
//! nearest known name.

use std::collections::BTreeMap;

use crate::error::{Error, Place, Result};

/// Options by name, with the names asked for so far.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the options belong to, for messages: `source "comments"`.
    owner: String,
    given: BTreeMap<String, (String, Place)>,
    known: Vec<&'static str>,
}

impl Options {
    /// Options that belong to `owner` (`source "comments"`), for messages.
    pub fn new(owner: impl Into<String>) -> Self {
        Options { owner: owner.into(), ..Options::default() }
    }

    /// Adds an option; false if it was there already.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>, span: Place) -> bool {
        self.given.insert(name.into().to_ascii_lowercase(), (value.into(), span)).is_none()
    }

    /// What the options belong to: `source "comments"`.
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Takes the option `name`, if it was given.
    pub fn take(&mut self, name: &'static str) -> Option<(String, Place)> {
        self.known.push(name);
        self.given.remove(name)
    }

    /// Takes the option `name`.
    ///
    /// # Errors
    /// If it was not given.
    pub fn require(&mut self, name: &'static str) -> Result<(String, Place)> {
        self.take(name).ok_or_else(|| {
            Error::user(format!("{} needs the option \"{name}\"", self.owner))
                .with_hint(format!("write WITH (…, {name} = '…')"))
        })
    }

    /// Takes the option `name`, which must be one of `choices`; the first is the default.
    ///
    /// # Errors
    /// If it is something else.
    pub fn take_choice(&mut self, name: &'static str, choices: &[&'static str]) -> Result<&'static str> {
        let Some((value, span)) = self.take(name) else {
            return Ok(choices[0]);
        };
        choices.iter().find(|choice| choice.eq_ignore_ascii_case(&value)).copied().ok_or_else(|| {
            let list = choices.iter().map(|choice| format!("'{choice}'")).collect::<Vec<_>>().join(", ");
            self.error(span, format!("option \"{name}\" of {} cannot be '{value}'", self.owner))
                .with_hint(format!("write one of {list}"))
        })
    }

    /// An error about the option value at `place`.
    pub fn error(&self, place: Place, message: impl Into<String>) -> Error {
        match place {
            Place { line: 0, .. } => Error::user(message),
            place => Error::user(message).at(place),
        }
    }

    /// Refuses options that nobody took.
    ///
    /// # Errors
    /// Names the first such option, its place, and the nearest known name.
    pub fn finish(&self) -> Result<()> {
        let Some((name, (_, span))) = self.given.iter().next() else {
            return Ok(());
        };
        let nearest = nearest(name, self.known.iter().copied());
        let hint = match nearest {
            Some(known) => format!("did you mean \"{known}\"?"),
            None => format!("known options are {}", self.known.join(", ")),
        };
        Err(self.error(*span, format!("{} has no option \"{name}\"", self.owner)).with_hint(hint))
    }
}

/// The candidate nearest to `word` by edit distance, if one is near enough to be what was meant: at most a third of the
/// word's length away, and at least one edit is always allowed. Letter case does not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_option_names_the_nearest_known_one() {
        let mut options = Options::new("source \"c\"");
        options.insert("paht", "x", Place { line: 3, column: 9 });
        assert!(options.take("path").is_none());
        let error = options.finish().expect_err("paht is unknown");
        assert_eq!(error.chain(), "line 3, column 9: source \"c\" has no option \"paht\"; did you mean \"path\"?");
    }

    #[test]
    fn a_choice_is_one_of_a_list() {
        let mut options = Options::new("sink \"s\"");
        options.insert("mode", "curent", Place::default());
        let error = options.take_choice("mode", &["current", "append"]).expect_err("not a mode");
        assert_eq!(error.chain(), "option \"mode\" of sink \"s\" cannot be 'curent'; write one of 'current', 'append'");
        assert_eq!(options.take_choice("mode", &["current", "append"]).expect("default"), "current");
    }

    #[test]
    fn nearest_ignores_case_and_far_words() {
        assert_eq!(nearest("Autor", ["author", "body"]), Some("author"));
        assert_eq!(nearest("xyz", ["author", "body"]), None);
    }
}
