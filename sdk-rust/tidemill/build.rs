//! Tells the crate the version of the compiler, for the description of a module.

use std::process::Command;

fn main() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().ok().and_then(|o| String::from_utf8(o.stdout).ok());
    // "rustc 1.85.0 (4d91de4e4 2025-02-17)": the first two words.
    let words: Vec<&str> = version.as_deref().unwrap_or("rustc").split_whitespace().take(2).collect();
    println!("cargo:rustc-env=TIDEMILL_COMPILER={}", words.join(" "));
    println!("cargo:rerun-if-changed=build.rs");
}
