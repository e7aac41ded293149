//! Videos and the ways in which people link them.

use super::rng::{Rng, Weighted};
use super::world::World;

/// A video as text: every form that carries an id, `V` standing for the id, `N` for a number, with its weight.
///
/// The forms of a watch page, short links, shorts, live, embeds (with and without cookies), the mobile and music
/// sites, the flash player's path, links in Markdown, and ampersands as Reddit's API escapes them.
const FORMS: [(&str, usize); 20] = [
    ("https://www.youtube.com/watch?v=V", 20),
    ("https://www.youtube.com/watch?v=V&t=Ns", 9),
    ("https://youtu.be/V", 16),
    ("https://youtu.be/V?si=T", 10),
    ("https://youtu.be/V?t=N", 4),
    ("https://www.youtube.com/shorts/V", 6),
    ("https://m.youtube.com/watch?v=V", 4),
    ("https://www.youtube.com/watch?app=desktop&v=V", 3),
    ("[this video](https://www.youtube.com/watch?v=V)", 6),
    ("[here](https://youtu.be/V?t=N)", 5),
    ("(https://youtube.com/watch?v=V)", 2),
    ("https://www.youtube.com/embed/V?start=N", 3),
    ("https://www.youtube.com/watch?v=V&list=PLT&index=N", 2),
    ("https://www.youtube.com/watch?v=V&amp;t=Ns", 3),
    ("http://www.youtube.com/watch?feature=player_embedded&amp;v=V", 2),
    ("https://music.youtube.com/watch?v=V&si=T", 2),
    ("https://www.youtube.com/live/V?feature=share", 2),
    ("https://www.youtube-nocookie.com/embed/V", 1),
    ("http://www.youtube.com/v/V", 1),
    ("www.youtube.com/watch?v=V", 1),
];

/// How many of [`FORMS`], from the front, are a plain address, fit for a submission's `url`.
const ADDRESSES: usize = 8;

const TOKEN: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// `length` characters as ids of videos have them.
pub(crate) fn token(rng: &mut Rng, length: usize) -> String {
    (0..length).map(|_| char::from(rng.pick(TOKEN))).collect()
}

/// Draws forms of links.
pub(crate) struct Links {
    forms: Vec<&'static str>,
    addresses: Vec<&'static str>,
    videos: Weighted,
}

impl Links {
    /// Links to `videos` videos, the first the most popular.
    pub(crate) fn new(videos: usize) -> Self {
        let spread = |forms: &[(&'static str, usize)]| {
            forms.iter().flat_map(|&(form, weight)| std::iter::repeat_n(form, weight)).collect()
        };
        Links { forms: spread(&FORMS), addresses: spread(&FORMS[..ADDRESSES]), videos: Weighted::zipf(videos, true) }
    }

    /// One to three links for one record: a quarter hold two videos, one in twenty the same video twice.
    pub(crate) fn some(&self, rng: &mut Rng, world: &World) -> Vec<String> {
        let mut videos = vec![self.videos.draw(rng)];
        if rng.chance(250) {
            videos.push(self.videos.draw(rng));
        }
        if rng.chance(50) {
            videos.push(videos[0]);
        }
        let link = |video| {
            let form = rng.pick(&self.forms);
            fill(rng, form, world.video(video))
        };
        videos.into_iter().map(link).collect()
    }

    /// A plain address of one video.
    pub(crate) fn address(&self, rng: &mut Rng, world: &World) -> String {
        let video = self.videos.draw(rng);
        let form = rng.pick(&self.addresses);
        fill(rng, form, world.video(video))
    }
}

/// `form` with its letters `V`, `N` and `T` replaced. No form has one of these for itself.
fn fill(rng: &mut Rng, form: &str, video: &str) -> String {
    let mut link = String::with_capacity(form.len() + 32);
    for part in form.chars() {
        match part {
            'V' => link.push_str(video),
            'N' => link.push_str(&(1 + rng.below(900)).to_string()),
            'T' => link.push_str(&token(rng, 16)),
            other => link.push(other),
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::super::rng::Stream;
    use super::*;

    #[test]
    fn every_form_carries_its_video_once() {
        let mut rng = Rng::new(1, Stream::Sample, 0);
        for (form, _) in FORMS {
            let link = fill(&mut rng, form, "dQ-_4w9WgXc");
            assert_eq!(link.matches("dQ-_4w9WgXc").count(), 1, "{link}");
        }
    }
}
