//! The command `catchment`.

use std::process::ExitCode;

/// One allocator for every thread: workers free what readers allocated.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Zeroing huge pages costs up to two fifths of the CPU where buffers come and go as they do here.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    catchment::cli::main()
}
