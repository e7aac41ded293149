//! The oracle: what the operators keep up to date equals what a naive evaluation says, at every epoch.
//!
//! Random relations (types, nulls, duplicates), random histories (inserts, deletes, changes that cancel out, in any order
//! inside an epoch), random cuts into containers (several epochs in one, dictionaries or not), one and two workers. Of
//! every epoch's output it is also asked that it be consolidated. Seeds are printed: a failing case names its own.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod aggregates;
mod canary;
mod history;
mod run;
mod sets;
mod upserts;
mod value;
