//! Times of TTML: <https://www.w3.org/TR/ttml2/#timing-time-value-expressions>.
//!
//! | form | means |
//! |---|---|
//! | `00:00:01.500`, `00:01.5` | a clock time |
//! | `00:00:01:12`, `00:00:01:12.3` | a clock time with frames: `ttp:frameRate`, 30 without it, times `ttp:frameRateMultiplier` |
//! | `1.5s`, `1500ms`, `2m`, `1h` | an offset in that unit |
//! | `36f`, `15000000t` | an offset in frames, in ticks of `ttp:tickRate` |
//! | `1.5` | seconds (not in the standard) |
//!
//! Times of an element count from the begin of the one around it. `end` and `dur` limit it both, whichever is earlier.

use super::clock::{FRAMES_PER_SECOND, clock, rounded};

/// What the times of one document mean.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clock {
    frames_per_second: f64,
    ticks_per_second: f64,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { frames_per_second: FRAMES_PER_SECOND, ticks_per_second: 1.0 }
    }
}

/// When an element is shown, in seconds of the document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span {
    pub begin: Option<f64>,
    pub end: Option<f64>,
    /// Whether the element itself has a begin or end, and not only what is around it.
    pub is_own: bool,
    /// Whether one of its times is none.
    pub unreadable: bool,
}

impl Clock {
    /// The clock of the root element with these attributes.
    pub(super) fn of(attribute: impl Fn(&str) -> Option<String>) -> Self {
        let rate =
            |name: &str| attribute(name)?.trim().parse().ok().filter(|rate: &f64| *rate > 0.0 && rate.is_finite());
        let multiplier = attribute("ttp:frameRateMultiplier").and_then(|text| {
            let mut parts = text.split([' ', ':']).filter_map(|part| part.parse::<f64>().ok());
            let ratio = parts.next()? / parts.next()?;
            Some(ratio).filter(|ratio| *ratio > 0.0 && ratio.is_finite())
        });
        let frame_rate = rate("ttp:frameRate");
        let frames_per_second = frame_rate.unwrap_or(FRAMES_PER_SECOND) * multiplier.unwrap_or(1.0);
        // Without a tick rate a tick is a frame where there is a frame rate, else a second.
        let ticks_per_second = rate("ttp:tickRate").or(frame_rate).unwrap_or(1.0);
        Clock { frames_per_second, ticks_per_second }
    }

    /// What an element with these attributes inside `parent` spans.
    pub(super) fn span(&self, parent: Span, attribute: impl Fn(&str) -> Option<String>) -> Span {
        let mut unreadable = false;
        let mut time = |name: &str| {
            let seconds = attribute(name).map(|text| self.seconds(text.trim()));
            unreadable |= seconds == Some(None);
            seconds.flatten()
        };
        let (begin, end, duration) = (time("begin"), time("end"), time("dur"));
        if begin.is_none() && end.is_none() && duration.is_none() {
            return Span { is_own: false, unreadable, ..parent };
        }
        let origin = parent.begin.unwrap_or_default();
        let begin = rounded(origin + begin.unwrap_or_default());
        let ends = [end.map(|end| origin + end), duration.map(|duration| begin + duration)];
        let end = ends.into_iter().flatten().reduce(f64::min).map(rounded);
        Span { begin: Some(begin), end: end.or(parent.end), is_own: true, unreadable }
    }

    fn seconds(&self, text: &str) -> Option<f64> {
        let units = [
            ("ms", 0.001),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
            ("f", self.frames_per_second.recip()),
            ("t", self.ticks_per_second.recip()),
            ("", 1.0),
        ];
        let number = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite());
        let offset = || {
            let (count, seconds) =
                units.into_iter().find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)))?;
            number(count).map(|count| rounded(count * seconds))
        };
        if !text.contains(':') {
            return offset();
        }
        match text.splitn(4, ':').collect::<Vec<_>>()[..] {
            [_, _, seconds, frames] if frames.split('.').next().is_some_and(|frames| frames.len() <= 2) => {
                let whole = clock(&text[..text.len() - frames.len() - 1]).filter(|_| !seconds.contains(['.', ',']))?;
                Some(rounded(whole + number(frames)? / self.frames_per_second))
            }
            _ => clock(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let attributes = |name: &str| match name {
            "ttp:frameRate" => Some("25".to_owned()),
            "ttp:tickRate" => Some("10000000".to_owned()),
            _ => None,
        };
        let clock = Clock::of(attributes);
        for (text, expect) in [
            ("00:00:01.500", Some(1.5)),
            ("01.5", Some(1.5)),
            ("00:01", Some(1.0)),
            ("00:00:01:05", Some(1.2)),
            ("00:00:01:05.5", Some(1.22)),
            ("00:00:01:250", Some(1.25)),
            ("1.5s", Some(1.5)),
            ("1500ms", Some(1.5)),
            ("2m", Some(120.0)),
            ("1h", Some(3600.0)),
            ("50f", Some(2.0)),
            ("15000000t", Some(1.5)),
            ("soon", None),
            ("1x", None),
            ("", None),
        ] {
            assert_eq!(clock.seconds(text), expect, "{text}");
        }
        let film = Clock::of(|name| match name {
            "ttp:frameRate" => Some("24".to_owned()),
            "ttp:frameRateMultiplier" => Some("1000 1001".to_owned()),
            _ => None,
        });
        assert_eq!(film.seconds("24f"), Some(1.001));
        assert_eq!(Clock::of(|_| None).seconds("30f"), Some(1.0));
    }
}
