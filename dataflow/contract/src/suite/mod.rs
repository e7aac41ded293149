//! Conformance: what every source and every sink must do, as code that runs against any of them.
//!
//! For people who write one: turn the feature `suite` of this crate on for your tests, bring a fixture that knows how to
//! make your source or sink and how to look at the outside world, and call `run` with a few seeds. What fails is a panic
//! that names the seed, the step and what was expected.

pub mod sink;
pub mod source;
