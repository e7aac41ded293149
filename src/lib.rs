//! catchment
