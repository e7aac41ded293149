//! Which files are merged, by their sizes.
//!
//! The last files are merged once there are [`FILES_MIN`] of them of which each is no larger than those after it together.
//! So a file that was merged waits until as much has come after it; sizes double at least every [`FILES_MIN`] files, and a
//! byte is rewritten once for each doubling at most: about twelve times from 2 kB to [`FULL_BYTES`]. Files of that size are
//! left alone, so a merge reads and writes less than twice as much.

use super::FILE_BYTES;

/// Files that are merged at a time, at least.
const FILES_MIN: usize = 4;
/// A file this large is left alone.
const FULL_BYTES: u64 = FILE_BYTES as u64 / 2;

/// The first of the last files that are to be merged, if any are. `sizes` in bytes, earlier files first.
pub(super) fn mergeable(sizes: &[u64]) -> Option<usize> {
    let (mut first, mut after) = (sizes.len(), 0);
    while first > 0 {
        let size = sizes[first - 1];
        let fits = first == sizes.len() || size <= after;
        if size >= FULL_BYTES || !fits || after + size >= 2 * FULL_BYTES {
            break;
        }
        after += size;
        first -= 1;
    }
    (sizes.len() - first >= FILES_MIN).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of the given sizes, one a checkpoint: how many there were at most, and how many bytes were rewritten.
    fn run(sizes: impl Iterator<Item = u64>) -> (usize, u64, Vec<u64>) {
        let (mut files, mut most, mut rewritten) = (Vec::new(), 0, 0);
        for size in sizes {
            files.push(size);
            if let Some(first) = mergeable(&files) {
                let merged = files.drain(first..).sum();
                assert!(merged < 2 * FULL_BYTES, "a bounded piece of work");
                rewritten += merged;
                files.push(merged);
            }
            most = most.max(files.len());
        }
        (most, rewritten, files)
    }

    #[test]
    fn small_files_stay_few_and_are_rarely_rewritten() {
        let checkpoints = 100_000_u64;
        let (most, rewritten, files) = run((0..checkpoints).map(|_| 2_000));
        let total = checkpoints * 2_000;
        assert_eq!(files.iter().sum::<u64>(), total);
        let full = (total / FULL_BYTES) as usize;
        assert!(most <= full + 30, "{most} files, of which {full} are full");
        assert!(rewritten <= total * 12, "each byte was rewritten {} times", rewritten / total);
        let uneven = (0..checkpoints).map(|n| [700, 90_000, 1_200, 30, 2_000_000, 5][n as usize % 6]);
        let (most, _, files) = run(uneven);
        let full = (files.iter().sum::<u64>() / FULL_BYTES) as usize;
        assert!(most <= 2 * full + 60, "{most} files, of which some {full} are full");
    }

    #[test]
    fn large_files_are_left_alone() {
        let (_, rewritten, files) = run((0..100).map(|_| FULL_BYTES + 5));
        assert_eq!((rewritten, files.len()), (0, 100));
    }
}
