//! `catchment lake repair`.

use catchment::{Environment, Lake, repair};
use clap::Args;

use crate::{Failure, print};

/// Make a table readable again that is damaged or lost commits, and have its job write anew what is lost
#[derive(Args)]
pub struct Repair {
    /// The table's path below the lake
    #[arg(long)]
    table: String,
    /// Where tables and checkpoints lie: a folder, or a URL such as s3://bucket/prefix
    #[arg(long, default_value = "lake")]
    lake: String,
    /// Say what is the matter and what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
}

impl Repair {
    pub fn execute(self) -> Result<(), Failure> {
        let lake = Lake::new(&self.lake, Environment::system())?;
        if let Some(folder) = lake.folder().filter(|folder| !folder.is_dir()) {
            return Err(Failure::Wrong(format!("there is no lake at \"{}\"", folder.display())));
        }
        let repair = repair::examine(&lake, &self.table)?;
        if repair.finding.newest.is_none() && repair.owner.is_none() && repair.finding.unnamed.is_empty() {
            return Err(Failure::Wrong(format!("there is no table \"{}\" in the lake \"{lake}\"", self.table)));
        }
        print(&repair)?;
        if self.dry_run || !repair.is_needed() {
            return Ok(());
        }
        Ok(repair.apply(&lake)?)
    }
}
