//! Lake tables: what they hold in each mode, what their readers see, and what becomes of them whatever fails.

#![allow(clippy::disallowed_methods, reason = "it measures, or waits for other processes")]
#![allow(clippy::unwrap_used, reason = "this is a test's code")]

#[path = "../common/mod.rs"]
mod common;

mod fenced;
mod growth;
mod lost;
mod messages;
mod modes;
mod oracle;
mod repair;
mod values;
