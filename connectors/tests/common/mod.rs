//! What the tests of several sources share.

pub mod topic;
