//! Reddit dumps, listings and snapshots.
