//! What the sample's people talk about: five hobbies, in sentences put together from a few parts.

use crate::rng::Rng;

/// A subreddit of the sample.
pub(super) struct Topic {
    pub(super) subreddit: &'static str,
    /// The subreddit's id without its prefix.
    pub(super) id: &'static str,
    things: [&'static str; 9],
    doings: [&'static str; 5],
}

pub(super) const TOPICS: [Topic; 5] = [
    Topic {
        subreddit: "SampleSourdough",
        id: "smpl1",
        things: [
            "starter",
            "crumb",
            "rye flour",
            "crust",
            "oven",
            "proofing basket",
            "hydration",
            "loaf",
            "crème brûlée",
        ],
        doings: ["folding", "proofing", "baking", "scoring", "feeding the starter"],
    },
    Topic {
        subreddit: "SampleBirdWatch",
        id: "smpl2",
        things: ["kestrel", "heron", "feeder", "binoculars", "nest box", "wren", "migration", "reed bed", "jay"],
        doings: ["counting", "waiting at dawn", "sketching", "listening", "ringing"],
    },
    Topic {
        subreddit: "sample_homelab",
        id: "smpl3",
        things: ["switch", "rack", "backup", "fan", "power supply", "mirror", "firmware", "cable", "disk"],
        doings: ["rebooting", "labelling", "patching", "restoring a backup", "measuring"],
    },
    Topic {
        subreddit: "SampleTypography",
        id: "smpl4",
        things: ["serif", "kerning", "ligature", "italic", "typeface", "weight", "ampersand", "großes ß", "baseline"],
        doings: ["spacing", "hinting", "drawing", "printing a proof", "comparing"],
    },
    Topic {
        subreddit: "AskSample",
        id: "smpl5",
        things: ["question", "answer", "answer", "neighbour", "garden", "winter", "bicycle", "library", "kettle"],
        doings: ["asking", "repairing", "cycling", "reading", "making tea"],
    },
];

/// `{t}` and `{u}` are things, `{d}` is a doing.
const SENTENCES: [&str; 18] = [
    "I think the {t} matters more than the {u}.",
    "Has anyone tried {d} with a different {t}?",
    "My {t} looked just like that after an hour of {d}.",
    "That is not what the {t} is for, but I like it.",
    "You can fix the {t} when the {u} is cold.",
    "After three weeks of {d} the {t} was fine again 🎉",
    "Which {t} would you use? I have had this one since 2019 and the {u} is worn out.",
    "They said the {t} would last; it didn’t.",
    "Start with {d}, then look at the {t}, then at the {u}.",
    "How do you know when the {t} is ready?",
    "**Never** skip {d}. The {t} will tell you why.",
    "&gt; the {t} is all that counts\n\nNot for me: the {u} is.",
    "This made my day, thank you!",
    "Better light would help, the {t} is hard to see.",
    "It depends on the {t}:\n\n* with a new {u}, yes\n* with an old one, no",
    "\"Good enough\" is what I tell myself about my {t} (and my {u}).",
    "Same here. The {t} came out much better the second time, and {d} was half the work.",
    "Спасибо, the part about {d} was new to me.",
];

const TITLES: [&str; 6] = [
    "My first {t} of the year",
    "Weekly thread: {d}",
    "Is this {t} worth it?",
    "What I learned from {d} every day",
    "{t} or {u}?",
    "Found an old {t} — what now?",
];

const SPOKEN: [&str; 8] = [
    "hello and welcome back",
    "today we look at the {t}",
    "and why {d} takes longer than you'd think",
    "first you want to check the {u}",
    "now here's the {t} up close",
    "if yours looks different don't worry",
    "that is all there is to {d}",
    "see you next week",
];

impl Topic {
    /// A comment of one to three sentences.
    pub(super) fn comment(&self, rng: &mut Rng) -> String {
        let sentences = 1 + rng.below(3);
        (0..sentences).map(|_| self.sentence(rng, &SENTENCES)).collect::<Vec<_>>().join(" ")
    }

    /// A submission's title.
    pub(super) fn title(&self, rng: &mut Rng) -> String {
        self.sentence(rng, &TITLES)
    }

    /// The lines of a transcript, in order.
    pub(super) fn spoken(&self, rng: &mut Rng) -> Vec<String> {
        SPOKEN.iter().map(|line| self.sentence(rng, &[line])).collect()
    }

    fn sentence(&self, rng: &mut Rng, of: &[&str]) -> String {
        let sentence = rng.pick(of).replace("{d}", rng.pick(&self.doings));
        sentence.replace("{t}", rng.pick(&self.things)).replace("{u}", rng.pick(&self.things))
    }
}
