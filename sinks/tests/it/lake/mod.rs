//! Lake tables: what they hold in each mode, what their readers see, and what becomes of them whatever fails.

mod fenced;
mod growth;
mod lost;
mod messages;
mod modes;
mod oracle;
mod repair;
mod starts;
mod values;
