//! The keyed state of an operator: what of it lasts.
//!
//! A state is read and written for the key of the item under way; what an item writes, later items of the key read, and all of it
//! takes effect together with the item's output or not at all.
//!
//! ```
//! use tidemill::{List, Map, Operator, Row, Value};
//!
//! #[derive(Row)]
//! struct Page<'a> {
//!     title: &'a str,
//!     seconds: i64,
//! }
//!
//! #[derive(Operator)]
//! struct Visits {
//!     count: Value<i64>,                        // prefetched: it comes with the frame
//!     pages: Map<&'static str, Page<'static>>,  // asked for when needed
//!     #[tm(prefetch)]
//!     last: List<&'static str>,                 // comes with the frame
//!     #[tm(ttl = "24h")]
//!     today: Map<&'static str, Vec<i64>>,       // an entry expires a day after it was last written
//! }
//! # fn main() {}
//! ```
//!
//! `T` is a type of column or a [`Row`] of them. The name, that of the field or `#[tm(name = "...")]`, is what the state is
//! stored under. A run whose checkpoint has state under a name that the operator no longer declares, as after renaming it, is refused
//! with TM-STATE-007; with `--allow-undeclared` it goes on, the new name begins empty, and what was stored stays in the checkpoints.
//!
//! Values are prefetched by default, lists and maps are not; the options `prefetch`, `prefetch = "none"` and `prefetch = "port name"`
//! (ports and timers, separated by spaces) change that. A cell of more than 64 KiB is never prefetched.
//!
//! With the option `ttl` a value, each element of a list and each entry of a map expires by itself: it is absent once processing time
//! reaches the time at which it was last written, and the `ttl`. Reading does not renew it; writing, also of an equal value and by `edit`,
//! does. The text is whole numbers with the units `d`, `h`, `m`, `s` and `ms`, as `"24h"`, `"1h30m"` or `"500ms"`, and is checked when the
//! operator is compiled. Nothing expires while a frame runs, in which processing time stands still.
//!
//! A cell that is prefetched comes whole, with every frame that has an item of its key: prefetch a list or map whose handlers read most
//! of it, or which stays at a few dozen entries. With thousands of entries, of which a row reads one, a frame costs the thousands; asked
//! for, that row costs one call to the host, once for an entry and frame.
//!
//! What is read is a copy whose borrowed texts are valid until the handler returns: reading a `String` allocates, a `&str` does not.
//! Methods that change take `&self`, so that a loop over a state can change it; `edit`, which lends what is stored, takes `&mut self`.

mod index;
mod list;
mod map;
mod scan;
mod value;

pub use list::{List, ListIter};
pub use map::Map;
pub use scan::Scan;
pub use value::Value;

use crate::answer::Answer;
use crate::frame::{ColumnView, Section};
use crate::host::{Core, NO_KEY};
use crate::part::{Declaration, Declare, State};
use crate::row::{self, Field, Row, Source};
use crate::writer::Rows;
use std::rc::Rc;
use tidemill_sys::abi;

/// What states of all kinds have.
struct Common {
    core: Rc<Core>,
    id: u32,
    name: &'static str,
    prefetch: Prefetch,
    ttl_ms: i64,       // 0 where it does not expire
    buffer: Vec<u128>, // what the host answers: at a multiple of 16
    columns: Vec<ColumnView>,
    changes: Changes,
}

enum Prefetch {
    Always,
    With(Vec<&'static str>), // ports and timers
}

/// The section STATE of an answer while it is built: keys and operations beside the rows.
#[derive(Default)]
struct Changes {
    keys: Vec<u32>,
    ops: Vec<u8>,
}

/// What the key index and the operation of a change take.
const CHANGE_BYTES: usize = 4 + 1;

impl Common {
    fn declare(to: &mut Declare<'_>, field: &Declaration, prefetched: bool) -> Common {
        to.options(field, "a state", &["prefetch", "ttl"]);
        let prefetch = match field.option("prefetch") {
            None if prefetched => Prefetch::Always,
            None | Some("none") => Prefetch::With(Vec::new()),
            Some("") => Prefetch::Always,
            Some(names) => Prefetch::With(names.split_whitespace().collect()),
        };
        let ttl_ms = field.option("ttl").and_then(|ms| ms.parse().ok()).unwrap_or_default();
        to.keyed = true;
        to.states += 1;
        Common {
            core: to.core.clone(),
            id: to.states - 1,
            name: field.name,
            prefetch,
            ttl_ms,
            buffer: Vec::new(),
            columns: Vec::new(),
            changes: Changes::default(),
        }
    }

    fn prefetched(&self, port_or_timer: &str) -> bool {
        match &self.prefetch {
            Prefetch::Always => true,
            Prefetch::With(names) => names.contains(&port_or_timer),
        }
    }

    fn bind(&self, kind: &str, key: &[Field], value: &[Field]) -> abi::BindState {
        abi::BindState {
            name: self.name.into(),
            kind: kind.into(),
            scope: abi::SCOPE_KEY.into(),
            key: row::schema(key),
            value: row::schema(value),
            ttl_ms: self.ttl_ms,
        }
    }

    /// Index of the current key.
    #[inline(always)]
    #[track_caller]
    fn key(&self) -> usize {
        let key = self.core.key.get();
        if key == NO_KEY {
            no_key();
        }
        key as usize
    }

    /// Asks the host for a cell, or an entry of a map, of the current key. The answer lies in the arena.
    fn ask(&mut self, map_key: &[u8]) -> Option<Section<'static>> {
        let key = self.core.key.get();
        loop {
            let out = bytes_of(&mut self.buffer);
            let room = out.len();
            let n = self.core.host.state_get(self.id, key, map_key, out);
            let n = usize::try_from(n).ok()?;
            if n > room {
                grow(&mut self.buffer, n);
                continue;
            }
            self.core.held(n);
            // SAFETY: all that is read of the block is forgotten when the next frame begins, as the arena is.
            return Some(Section::block(unsafe { self.core.arena.keep_aligned(&bytes_of(&mut self.buffer)[..n]) }));
        }
    }

    /// Opens a STATE section of an answer with the changes, and returns where its nodes begin.
    fn open_changes(&self, to: &mut Answer, kind: abi::StateKind, key: &[Field], value: &[Field]) -> usize {
        let nodes = row::nodes(key) + row::nodes(value);
        let head = to.open(abi::SECTION_STATE, self.id, abi::STATE_SIZE, nodes);
        to.put_u32(head, self.changes.keys.len() as u32);
        to.put_u32(head + 4, kind.0);
        to.put_u32(head + 8, (key.len() + value.len()) as u32);
        to.put_u32(head + 12, nodes as u32);
        to.array(head + 16, &self.changes.keys);
        to.array(head + 20, &self.changes.ops);
        head + abi::STATE_SIZE as usize
    }

    /// Hands the changes of a state to the host before the answer, so that what the host is asked for next shows them.
    fn apply(core: &Core, state: &mut dyn State) {
        let mut answer = core.apply.borrow_mut();
        answer.start(core.echo.get(), 1, false);
        state.flush(&mut answer);
        if answer.entries() > 0 {
            core.applied.set(true);
            core.host.apply(answer.finish());
        }
    }
}

impl Changes {
    fn clear(&mut self) {
        self.keys.clear();
        self.ops.clear();
    }

    #[inline(always)]
    fn add(&mut self, key: u32, op: u32) {
        self.keys.push(key);
        self.ops.push(op as u8);
    }
}

#[cold]
#[track_caller]
fn no_key() -> ! {
    panic!("a state is used where no item with a key is under way")
}

fn bytes_of(words: &mut [u128]) -> &mut [u8] {
    // SAFETY: every byte of a number may be read and written.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), std::mem::size_of_val(words)) }
}

/// Makes room for n bytes.
fn grow(buffer: &mut Vec<u128>, n: usize) {
    let words = n.div_ceil(size_of::<u128>()).max(2 * buffer.len());
    buffer.resize(words, 0);
}

/// Writes the columns of fields, whose nodes begin at an offset; returns where the next ones begin.
fn write_columns(fields: &[Field], rows: &Rows, to: &mut Answer, mut node: usize) -> usize {
    for (i, f) in fields.iter().enumerate() {
        node = rows.flush(i, f.tz, to, node);
    }
    node
}

/// The fields of a state's values or of a map's keys.
fn state_fields<R: Row>(to: &mut Declare<'_>, field: &Declaration, scalar: &str) -> Vec<Field> {
    let list = row::fields::<R>(scalar).and_then(|list| {
        if list.iter().all(|f| f.source == Source::Column) {
            Ok(list)
        } else {
            Err("a state holds values only, no passed columns or event times".into())
        }
    });
    list.unwrap_or_else(|why| {
        to.wrong_field(field, why);
        Vec::new()
    })
}
