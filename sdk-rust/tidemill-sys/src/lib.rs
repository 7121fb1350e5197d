//! The contract between Tidemill and a guest module: numbers of frames, structs that cross as JSON, and host functions. The
//! normative text is `abi/SPEC.md` of Tidemill; the crate `tidemill` is what operators are written with.

#![no_std]

extern crate alloc;

#[rustfmt::skip]
#[allow(missing_docs)] // most constants are explained by the comment of their group
pub mod abi;
#[cfg(target_arch = "wasm32")]
pub mod host;
pub mod json;
