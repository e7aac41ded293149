//! Makes the released binary smaller, and tells tests what this machine has.

#[path = "../tests/build.rs"]
mod machine;

use std::path::Path;
use std::process::Command;

fn main() {
    machine::main();
    let variable = |name: &str| std::env::var(name).unwrap_or_default();
    if variable("PROFILE") == "release" && links_with_own_lld(&variable("TARGET"), &variable("CARGO_ENCODED_RUSTFLAGS"))
    {
        // A fifth of the code are copies: generics of several crates, and of types that look alike to the machine.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
    }
}

/// Whether the compiler links with the LLD that came with it, as it does where nobody chose another linker. Others may not know
/// the option.
fn links_with_own_lld(target: &str, flags: &str) -> bool {
    let Ok(rustc) = std::env::var("RUSTC") else { return false };
    let Ok(sysroot) = Command::new(rustc).args(["--print", "sysroot"]).output() else { return false };
    let sysroot = String::from_utf8_lossy(&sysroot.stdout).trim().to_owned();
    let lld = Path::new(&sysroot).join("lib/rustlib").join(target).join("bin/gcc-ld/ld.lld");
    target == "x86_64-unknown-linux-gnu"
        && lld.is_file()
        && !flags.contains("link")
        && std::env::var_os("RUSTC_LINKER").is_none()
}
