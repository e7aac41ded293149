//! Reads with a connector of its own and writes with a sink of its own: `outside FOLDER LAKE FILE`.

#[path = "../../../examples/own_sink.rs"]
mod own_sink;
#[path = "../../../examples/own_source.rs"]
mod own_source;

use catchment::{Environment, Job, Lake, Result, RunOptions, StopHandle};

const JOB: &str = "
CREATE SOURCE visits WITH (connector = 'log', path = '${folder}');
CREATE VIEW pages AS SELECT page, count(*) AS visits FROM visits GROUP BY page;
CREATE SINK pages FROM pages WITH (connector = 'file', path = '${file}');
";

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut argument = || arguments.next().expect("usage: outside FOLDER LAKE FILE");
    let (folder, lake, file) = (argument(), argument(), argument());
    let mut builder = Job::builder("outside");
    builder.sql(JOB).variable("folder", &folder).variable("file", &file);
    builder.source(own_source::Log).sink(own_sink::Files).lake(Lake::new(&lake, Environment::system())?);
    let mut run = builder.check()?.open(RunOptions::default(), &StopHandle::new())?;
    run.drain()?;
    println!("{}", run.finish()?);
    Ok(())
}
