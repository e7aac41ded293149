//! How much memory a job may take.

use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use clap::Args;

/// Memory and where the rest goes
#[derive(Args)]
pub struct MemoryOptions {
    /// Memory that the job may take, such as 4GiB or 512MiB; half of what the machine or its container has, if not said. State
    /// that does not fit is spilled
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<usize>,
    /// Folder for state that does not fit in memory; if not said, one beside a lake that is a folder, else one of the system's
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
}

impl MemoryOptions {
    /// Bytes for the job; none where it cannot be known how many there are.
    pub fn bytes(&self) -> Option<usize> {
        self.memory.or_else(|| Some(machine()? / 2))
    }

    /// Where state goes that does not fit, for a job with this lake.
    pub fn spill_dir(&self, lake: &str) -> PathBuf {
        match &self.spill_dir {
            Some(folder) => folder.clone(),
            None if lake.contains("://") => {
                std::env::temp_dir().join(format!("catchment-{}.spill", std::process::id()))
            }
            None => PathBuf::from(format!("{}.spill", lake.trim_end_matches('/'))),
        }
    }
}

/// `4GiB`, `512MB`, `1000000`.
fn size(text: &str) -> Result<usize, String> {
    let size: Result<ByteSize, _> = text.parse();
    let size = size.map_err(|_| "write a size such as 4GiB, 512MiB or 2GB")?;
    match usize::try_from(size.as_u64()) {
        Ok(bytes) if bytes >= 64 << 20 => Ok(bytes),
        _ => Err("a job takes 64MiB at least".to_owned()),
    }
}

/// Memory of the machine, or of the container that the process is in, if that can be found out.
fn machine() -> Option<usize> {
    let number = |path: &str| std::fs::read_to_string(Path::new(path)).ok()?.trim().parse::<usize>().ok();
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let all = line.trim().strip_suffix(" kB")?.parse::<usize>().ok()? << 10;
    // Version 2 of control groups, then version 1.
    let limits = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    limits.into_iter().filter_map(number).chain([all]).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_refused() {
        assert_eq!(size("4GiB"), Ok(4 << 30));
        assert_eq!(size("512 MiB"), Ok(512 << 20));
        assert_eq!(size("100000000"), Ok(100_000_000));
        assert!(size("4 potatoes").unwrap_err().contains("4GiB"));
        assert!(size("1kB").unwrap_err().contains("64MiB"));
    }

    #[test]
    fn what_does_not_fit_lies_beside_a_lake_that_is_a_folder() {
        let options = MemoryOptions { memory: Some(1 << 30), spill_dir: None };
        assert_eq!(options.spill_dir("my/lake/"), PathBuf::from("my/lake.spill"));
        assert!(options.spill_dir("s3://bucket/lake").starts_with(std::env::temp_dir()));
        assert_eq!(options.bytes(), Some(1 << 30));
    }
}
