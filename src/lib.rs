//! catchment

pub mod generate;
