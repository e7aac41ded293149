//! What tests of the lake need: a small S3 server that can misbehave, and a clock on which long outages are short.

mod clock;
mod s3;

pub use clock::hurried;
pub use s3::{S3Server, Trouble};
