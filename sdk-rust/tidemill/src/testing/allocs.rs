//! A record costs no allocation in any of these operators, once buffers have grown. The same frame is processed again and again.

use super::{Config, Harness, Item, Running};
use crate::host::Host;
use crate::operator::Operator;
use crate::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell as Counted;
use std::rc::Rc;
use tidemill_sys::abi;

/// Counts the allocations of each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Counted<usize> = const { Counted::new(0) };
}

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A host that has no state.
struct Nothing;

impl Host for Nothing {
    fn log(&self, _: u32, _: &str) {}
    fn state_get(&self, _: u32, _: u32, _: &[u8], _: &mut [u8]) -> i32 {
        -1
    }
    fn scan_open(&self, _: u32, _: u32, _: &[u8], _: u32) -> i32 {
        0
    }
    fn scan_next(&self, _: i32, out: &mut [u8]) -> i32 {
        let n = out.len().min(abi::BLOCK_SIZE as usize);
        out[..n].fill(0);
        n as i32
    }
    fn apply(&self, _: &[u8]) {}
}

#[derive(Row, Clone)]
struct Reading<'a> {
    sensor: &'a str,
    value: i64,
    ratio: Option<f64>,
    raw: &'a [u8],
    price: Decimal<12, 2>,
    marks: &'a [i64],
}

#[derive(Row)]
struct Number {
    value: i64,
}

#[operator]
fn even(row: Number) -> bool {
    row.value % 2 == 0
}

/// The operator of the state benchmark: a count by key, and a timer every 1,000 records.
#[derive(Operator)]
struct Counting1000 {
    #[tm(name = "in")]
    input: In<Number>,
    count: Value<i64>,
    tick: Timer,
}

#[operator]
impl Counting1000 {
    #[on_row(input)]
    fn on_row(&mut self) {
        let n = self.count.edit();
        *n += 1;
        if *n % 1000 == 0 {
            self.tick.set(Timestamp(*n));
        }
    }

    #[on_fire(tick)]
    fn on_tick(&mut self) {}
}

#[derive(Row)]
struct Copied<'a> {
    #[tm(flatten)]
    row: Reading<'a>,
    #[tm(from = "sensor")]
    key: FromKey,
}

/// Reads and emits columns of all shapes.
#[derive(Operator)]
struct Texting {
    #[tm(name = "in")]
    input: In<Reading<'static>>,
    out: Out<Copied<'static>>,
    key: Key<&'static str>,
    last: Value<Reading<'static>>,
    seen: Counter,
}

#[operator]
impl Texting {
    #[on_row(input)]
    fn on_row(&mut self, row: Reading<'_>) {
        self.seen.add(1);
        let before = self.last.get().map_or(0, |last| last.value);
        let row = Reading { sensor: self.key.get(), value: before + row.value, ..row };
        self.last.set(row.clone());
        self.out.emit(Copied { row, key: FromKey });
    }
}

/// Uses lists and maps, prefetched and asked for, and loops over them.
#[derive(Operator)]
struct Collecting {
    #[tm(name = "in")]
    input: In<Reading<'static>>,
    #[tm(prefetch)]
    list: List<i64>,
    #[tm(prefetch)]
    map: Map<&'static str, i64>,
    far: Map<&'static str, i64>,
    #[local]
    sum: i64,
}

#[operator]
impl Collecting {
    #[on_row(input)]
    fn on_row(&mut self, row: Reading<'_>) {
        self.list.append(row.value);
        *self.map.edit(row.sensor) += 1;
        self.far.set(row.sensor, self.far.get(row.sensor).unwrap_or(0) + 1);
        if row.value % 64 == 0 {
            self.sum += self.list.iter().sum::<i64>();
            self.sum += self.map.iter().map(|(_, n)| n).sum::<i64>();
            self.sum += self.far.iter().map(|(_, n)| n).sum::<i64>();
            self.list.clear();
        }
    }
}

#[derive(Columns)]
struct Numbers<'a> {
    value: &'a [i64],
}

#[derive(Columns)]
struct Doubled<'a> {
    #[tm(all)]
    row: FromInput,
    twice: &'a [i64],
}

#[derive(Operator)]
struct Columnar {
    #[tm(name = "in")]
    input: BatchIn<Numbers<'static>>,
    out: BatchOut<Doubled<'static>>,
    #[local]
    twice: Vec<i64>,
}

#[operator]
impl Columnar {
    #[on_batch(input)]
    fn on_batch(&mut self, columns: Numbers<'_>) {
        self.twice.clear();
        self.twice.extend(columns.value.iter().map(|v| 2 * v));
        self.out.emit(Doubled { row: FromInput, twice: &self.twice });
    }
}

/// Processes a full frame of so many keys, again and again; returns the allocations once buffers have grown.
fn allocations<O: Operator>(keys: i64) -> usize {
    let mut h = Harness::new::<O>(Config::new().key(["sensor"]).input::<Reading<'_>>("in"));
    let item = |i: i64| Item {
        port: Some("in".into()),
        row: vec![
            format!("sensor-{}", i % keys).into(),
            i.into(),
            (i as f64 / 2.0).into(),
            b"raw".as_slice().into(),
            Decimal::<12, 2>::MAX.into(),
            vec![i; i as usize % 3].into(),
        ],
        ..Item::default()
    };
    h.world.borrow_mut().running = Running {
        kind: abi::KIND_BATCH,
        sequence: 1,
        items: (0..i64::from(abi::ROWS_MAX)).map(item).collect(),
        ..Running::default()
    };
    h.resolve_keys(abi::KIND_BATCH, 0);
    let frame = h.encode(abi::KIND_BATCH, 0);
    let (mut slot, _) = crate::operator::open(&[h.entry], h.request.clone(), Rc::new(Nothing)).expect("it was opened before");
    for _ in 0..3 {
        assert!(!slot.process(&frame).is_empty(), "{} answers nothing", O::NAME);
    }
    let before = ALLOCATIONS.get();
    for _ in 0..10 {
        slot.process(&frame);
    }
    ALLOCATIONS.get() - before
}

#[test]
fn a_record_allocates_nothing() {
    for keys in [1, 100, 4096] {
        assert_eq!(allocations::<even>(keys), 0, "{keys} keys");
        assert_eq!(allocations::<Counting1000>(keys), 0, "{keys} keys");
        assert_eq!(allocations::<Texting>(keys), 0, "{keys} keys");
        assert_eq!(allocations::<Collecting>(keys), 0, "{keys} keys");
        assert_eq!(allocations::<Columnar>(keys), 0, "{keys} keys");
    }
}
