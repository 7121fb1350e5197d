//! Write operators for [Tidemill](https://github.com/tidemill/tidemill), the stream processor, in Rust.
//!
//! An operator turns rows of its input ports into rows of its output ports, and may keep state and timers by the key of its input. It
//! is built to WebAssembly by `tidemill build` and run by `tidemill run`; [`testing`] runs it in an ordinary test.
//!
//! The smallest operator is one function:
//!
//! ```
//! use tidemill::prelude::*;
//!
//! #[derive(Row)]
//! struct Line<'a> { text: &'a str }
//! #[derive(Row)]
//! struct Sized<'a> { text: &'a str, bytes: i64 }
//!
//! #[operator]
//! fn sizes(line: Line<'_>) -> Sized<'_> { Sized { text: line.text, bytes: line.text.len() as i64 } }
//! tidemill::operators!(sizes);
//! # fn main() {}
//! ```
//!
//! A function that returns `bool` lets rows through or not, with all their columns; one with a second parameter `out: &Out<To>` emits
//! any number of rows of each. Other operators are a struct whose fields declare their parts, and whose methods take rows and timers:
//!
//! ```
//! use std::time::Duration;
//! use tidemill::prelude::*;
//!
//! #[derive(Row)]
//! struct Visit<'a> {
//!     page: &'a str,
//!     #[tm(event_time)]
//!     at: Timestamp, // no column: the row's event time
//! }
//!
//! #[derive(Row)]
//! struct Report {
//!     user: FromKey, // the key column, taken over by the host
//!     visits: i64,
//! }
//!
//! #[derive(Operator)]
//! struct Visits {
//!     /// users with fewer visits are not reported
//!     #[param(default = 1)]
//!     least: i64,
//!     visits: In<Visit<'static>>,
//!     reports: Out<Report>,
//!     count: Value<i64>,
//!     #[tm(prefetch)]
//!     pages: Map<&'static str, i64>,
//!     quiet: Timer,
//! }
//!
//! /// Counts visits by user.
//! #[operator]
//! impl Visits {
//!     #[on_row(visits)]
//!     fn on_visit(&mut self, visit: Visit<'_>) {
//!         *self.count.edit() += 1;
//!         *self.pages.edit(visit.page) += 1;
//!         self.quiet.set(visit.at + Duration::from_secs(60));
//!     }
//!
//!     #[on_fire(quiet)]
//!     fn on_quiet(&mut self, _: Fired<'_>) -> Result {
//!         let visits = self.count.get().ok_or(Error::new("nobody was here"))?;
//!         if visits >= self.least {
//!             self.reports.emit(Report { user: FromKey, visits });
//!         }
//!         self.count.clear();
//!         Ok(())
//!     }
//! }
//!
//! tidemill::operators!(Visits);
//!
//! # fn main() {
//! use tidemill::testing::{Config, Harness};
//! #[derive(Row)]
//! struct Input<'a> { user: &'a str, page: &'a str, #[tm(event_time)] at: Timestamp }
//! #[derive(Row, Debug, PartialEq)]
//! struct Output { user: String, visits: i64 }
//!
//! let mut h = Harness::new::<Visits>(Config::new().key(["user"]).input::<Input>("visits"));
//! h.send("visits", [
//!     Input { user: "ann", page: "/", at: Timestamp(0) },
//!     Input { user: "ann", page: "/jobs", at: Timestamp(1) },
//! ]);
//! h.advance_watermark(Timestamp(60_000_001));
//! assert_eq!(h.rows::<Output>("reports"), [Output { user: "ann".into(), visits: 2 }]);
//! # }
//! ```
//!
//! # Rows
//!
//! A row is a struct that derives [`Row`], whose fields are columns by their names. Columns are bound to fields once, when the operator is
//! opened; a record costs no look-up and no allocation, but for fields of type `String` and `Vec`. Whole numbers widen to the
//! field's type. A column that may be null needs an `Option`. A [`Decimal`] is an exact number, and a list is a `Vec` or a slice:
//!
//! ```
//! # use tidemill::prelude::*;
//! #[derive(Row)]
//! struct Order<'a> {
//!     amount: Decimal<12, 2>, // decimal128(12,2)
//!     tags: Vec<&'a str>,     // list<utf8>
//!     ratings: &'a [f64],     // list<f64>, a view of the frame
//! }
//! ```
//!
//! # Operators
//!
//! Fields of a struct that derives [`Operator`](derive@Operator) are [`In`], [`BatchIn`], [`Out`], [`BatchOut`], [`Key`], [`Timer`],
//! [`Counter`], [`Gauge`], [`Context`] and the states [`Value`], [`List`] and [`Map`]; parameters of the job, marked `#[param]`; and the
//! operator's own memory, marked `#[local]`, which begins with its default and does not last. [`operator`](macro@operator) says what
//! methods it can have.
//!
//! # Errors and panics
//!
//! A handler that returns an error rejects the item under way, and nothing it did takes effect. A panic is a fault: it says its message
//! and place, and costs the instance.
//!
#![doc = include_str!("rules.md")]

#[cfg(test)]
extern crate self as tidemill; // for the macros' code in this crate's own tests

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(doctest)]
#[doc = include_str!("refused.md")]
struct Refused;

mod answer;
mod arena;
mod batch;
mod buffer;
mod cell;
mod column_type;
mod context;
mod decimal;
mod error;
#[cfg(target_arch = "wasm32")]
mod exports;
mod frame;
mod host;
mod input;
mod key;
mod metric;
mod operator;
mod output;
mod param;
mod part;
mod row;
pub mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod testing_value;
mod time;
mod timer;
mod writer;

pub use batch::{
    Batch, BatchIn, BatchOut, Binaries, BinariesBuf, Bits, BitsBuf, Columns, Lists, ListsBuf, Nulls, Texts, TextsBuf,
};
pub use cell::{FromInput, FromKey};
pub use context::{Context, Level};
pub use decimal::{Decimal, DecimalError};
pub use error::{Error, Outcome, Result};
pub use input::In;
pub use key::Key;
pub use metric::{Counter, Gauge};
pub use output::Out;
pub use param::Param;
pub use row::{Owned, Row};
pub use state::{List, Map, Value};
pub use tidemill_macros::{operator, Columns, Operator, Row};
pub use time::{Date, Timestamp};
pub use timer::{Fired, Timer};

/// Everything that operators use: `use tidemill::prelude::*;`.
pub mod prelude {
    pub use crate::{operator, Columns, Operator, Row};
    pub use crate::{Batch, BatchIn, BatchOut, Binaries, BinariesBuf, Bits, BitsBuf, Lists, ListsBuf, Nulls, Texts, TextsBuf};
    pub use crate::{
        Context, Counter, Date, Decimal, Error, Fired, FromInput, FromKey, Gauge, In, Key, Level, Out, Result, Timer, Timestamp,
    };
    pub use crate::{List, Map, Value};
}

/// What the macros' code calls. It is no part of the interface.
#[doc(hidden)]
pub mod __ {
    pub use crate::arena::Arena;
    pub use crate::batch::{ColumnCell, Write};
    pub use crate::cell::Cell;
    #[cfg(target_arch = "wasm32")]
    pub use crate::exports::{describe, open, process, reserve};
    pub use crate::frame::{ColumnView, Frame};
    pub use crate::operator::{Entry, Operator};
    pub use crate::output::OutOf;
    pub use crate::part::{Declaration, Declare, Part, PartRef, Parts};
    pub use crate::row::{cell_width, Field, Row};
    pub use crate::testing_value::Datum;
    pub use crate::writer::ColumnWriter;
    pub use std::cmp::Ordering;
}

/// Makes the crate a module of these operators: names of structs and functions with `#[operator]`. It stands once in a crate of type
/// `cdylib`.
#[macro_export]
macro_rules! operators {
    ($($operator:ident),+ $(,)?) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            use $crate::__::Entry;

            static ENTRIES: &[Entry] = &[$(Entry::of::<$operator>()),+];

            #[unsafe(no_mangle)]
            extern "C" fn tidemill_abi_1() {}

            #[unsafe(no_mangle)]
            extern "C" fn tidemill_describe() -> u64 {
                $crate::__::describe(ENTRIES)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn tidemill_open(request: *const u8, len: usize) -> u64 {
                unsafe { $crate::__::open(ENTRIES, request, len) }
            }

            #[unsafe(no_mangle)]
            extern "C" fn tidemill_reserve(len: usize) -> *mut u8 {
                $crate::__::reserve(len)
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn tidemill_process(frame: *const u8, len: usize) -> u64 {
                unsafe { $crate::__::process(frame, len) }
            }
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: &[$crate::__::Entry] = &[$($crate::__::Entry::of::<$operator>()),+];
    };
}
