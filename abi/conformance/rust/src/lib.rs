//! The command interpreter of abi/conformance/PROGRAM.md on the Rust SDK.

mod interpreter;
mod reader;

use interpreter::{Columnar, Interpreter};
use tidemill::prelude::*;

/// An amount of money.
pub type Amount = Decimal<20, 4>;

/// The record of PROGRAM.md.
#[derive(Row, Clone, Default)]
pub struct Record {
    pub flag: bool,
    pub tiny: Option<i8>,
    pub small: i16,
    pub medium: Option<i32>,
    pub large: i64,
    pub single: Option<f32>,
    pub double: f64,
    pub day: Option<Date>,
    pub at: Timestamp,
    #[tm(tz)]
    pub zoned: Option<Timestamp>,
    pub text: Option<String>,
    pub bytes: Vec<u8>,
    pub amount: Option<Amount>,
    pub numbers: Vec<i64>,
    pub names: Option<Vec<String>>,
}

/// A row of port in.
#[derive(Row)]
pub struct InRow<'a> {
    pub program: &'a [u8],
    #[tm(flatten)]
    pub record: Record,
    #[tm(event_time)]
    pub time: Timestamp,
}

/// A row of port more.
#[derive(Row)]
pub struct MoreRow<'a> {
    pub program: &'a [u8],
    pub large: i64,
    pub text: Option<&'a str>,
    #[tm(event_time)]
    pub time: Timestamp,
}

/// The key.
#[derive(Row)]
pub struct KeyRow<'a> {
    pub k: Option<&'a str>,
    pub g: i64,
}

/// A key as the operator writes it itself: nulls where there is none.
#[derive(Row, Clone, Copy, Default)]
pub struct OwnKey<'a> {
    pub k: Option<&'a str>,
    pub g: Option<i64>,
}

/// A row of port values.
#[derive(Row)]
pub struct ValuesRow<'a> {
    #[tm(flatten)]
    pub key: OwnKey<'a>,
    pub command: i16,
    pub n: Option<i64>,
    pub name: Option<&'a str>,
    #[tm(flatten)]
    pub record: Record,
}

/// A row of port passed.
#[derive(Row)]
pub struct PassedRow {
    pub k: FromKey,
    pub g: FromKey,
    pub n: i64,
    pub text: FromInput,
    pub unread: FromInput,
    #[tm(from = "at")]
    pub moved: FromInput,
    pub bytes: FromInput,
    pub flag: FromInput,
    pub single: FromInput,
    pub tiny: FromInput,
    pub amount: FromInput,
    pub numbers: FromInput,
    pub names: FromInput,
    pub cost: Amount,
    pub ramp: Vec<i64>,
}

/// A row of port timed.
#[derive(Row)]
pub struct TimedRow {
    pub k: FromKey,
    pub g: FromKey,
    #[tm(name = "due", event_time)]
    pub due: Timestamp,
    pub n: i64,
}

/// A row of port drawn.
#[derive(Row)]
pub struct DrawnRow<'a> {
    #[tm(flatten)]
    pub key: OwnKey<'a>,
    pub number: i64,
}

/// A key of the map pairs.
#[derive(Row, Clone, Copy)]
pub struct Pair<'a> {
    pub small: i16,
    pub amount: Amount,
    pub flag: bool,
    pub day: Date,
    pub at: Timestamp,
    pub text: &'a str,
}

/// A pair that owns its text.
pub struct PairKey {
    pub small: i16,
    pub amount: Amount,
    pub flag: bool,
    pub day: Date,
    pub at: Timestamp,
    pub text: String,
}

tidemill::operators!(Interpreter, Columnar);
