//! The main job: it checks, shares what can be shared, and reads only what it needs.

mod common;

use catchment_sql::{Format, Job, check, explain};

const PULSE: &str = include_str!("../../../examples/pulse.sql");

fn pulse() -> Job {
    check(PULSE, &|_| None, &common::registry()).unwrap_or_else(|error| panic!("{}", error.chain()))
}

#[test]
fn it_checks() {
    let job = pulse();
    println!("{}", job.describe());
    println!("{}", explain(&job, None, Format::Text).expect("explained"));
    println!("{}", explain(&job, None, Format::Mermaid).expect("explained"));
}
