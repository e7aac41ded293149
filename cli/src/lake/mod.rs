//! `catchment lake …`.

mod repair;

use clap::{Args, Subcommand};

use super::Failure;

/// See and mend tables
#[derive(Args)]
pub struct Lake {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a table readable again that is damaged or lost commits, and have its job write anew what is lost
    Repair(repair::Repair),
}

impl Lake {
    pub fn execute(self) -> Result<(), Failure> {
        match self.command {
            Command::Repair(command) => command.execute(),
        }
    }
}
