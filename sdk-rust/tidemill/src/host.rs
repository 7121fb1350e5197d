//! What the parts of an operator share: which item is under way, and where it may turn to.

use crate::answer::{Answer, Echo};
use crate::arena::Arena;
use crate::frame::Frame;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tidemill_sys::abi;

/// What an operator may ask for while a frame is processed: the functions of the contract.
pub trait Host {
    /// A line for the operator's log.
    fn log(&self, level: u32, line: &str);
    /// Reads a cell; see `tidemill_sys::host`.
    fn state_get(&self, state: u32, key: u32, map_key: &[u8], out: &mut [u8]) -> i32;
    /// Begins a scan of a map.
    fn scan_open(&self, state: u32, key: u32, bounds: &[u8], flags: u32) -> i32;
    /// Takes the next entries of a scan.
    fn scan_next(&self, handle: i32, out: &mut [u8]) -> i32;
    /// Takes changes of state before the answer.
    fn apply(&self, frame: &[u8]);
}

/// The key of an item without one.
pub(crate) const NO_KEY: u32 = u32::MAX;

/// What the parts of one operator share. It begins with the fault cell, which the host reads after a trap.
#[repr(C)]
pub struct Core {
    pub(crate) item: Cell<u32>,
    message: Cell<u32>,
    message_len: Cell<u32>,
    place: Cell<u32>,
    place_len: Cell<u32>,
    /// Index of the item's key among the frame's.
    pub(crate) key: Cell<u32>,
    /// An upper bound of the answer so far.
    pub(crate) bytes: Cell<usize>,
    /// The frame ends with the item that gets `bytes` here.
    pub(crate) stop: Cell<usize>,
    /// Items of the frame that are processed: all, or fewer where the answer to all was too large.
    pub(crate) items: Cell<usize>,
    /// Of the frame.
    pub(crate) echo: Cell<Echo>,
    pub(crate) port: Cell<u32>,
    pub(crate) seed: Cell<u64>,
    pub(crate) watermark: Cell<i64>,
    pub(crate) processing_time: Cell<i64>,
    pub(crate) arena: Arena,
    pub(crate) timers: RefCell<TimerLog>,
    pub(crate) metrics: RefCell<MetricLog>,
    pub(crate) applied: Cell<bool>, // changes went to the host before the answer
    pub(crate) apply: RefCell<Answer>,
    pub(crate) request: abi::OpenRequest,
    pub(crate) host: Rc<dyn Host>,
}

impl Core {
    pub(crate) fn new(request: abi::OpenRequest, host: Rc<dyn Host>) -> Rc<Core> {
        Rc::new(Core {
            item: Cell::new(abi::ITEM_NONE),
            message: Cell::default(),
            message_len: Cell::default(),
            place: Cell::default(),
            place_len: Cell::default(),
            key: Cell::new(NO_KEY),
            bytes: Cell::default(),
            stop: Cell::default(),
            items: Cell::default(),
            echo: Cell::default(),
            port: Cell::default(),
            seed: Cell::default(),
            watermark: Cell::default(),
            processing_time: Cell::default(),
            arena: Arena::default(),
            timers: RefCell::default(),
            metrics: RefCell::default(),
            applied: Cell::default(),
            apply: RefCell::default(),
            request,
            host,
        })
    }

    /// Takes over what a frame says.
    pub(crate) fn begin(&self, frame: &Frame<'_>) {
        self.echo.set(Echo { kind: frame.kind, sequence: frame.sequence, slot: frame.slot });
        self.port.set(frame.port);
        self.seed.set(frame.seed);
        self.watermark.set(frame.watermark);
        self.processing_time.set(frame.processing_time);
    }

    /// Forgets what the frame did so far.
    pub(crate) fn restart(&self, stop: usize) {
        self.item.set(abi::ITEM_NONE);
        self.key.set(NO_KEY);
        self.bytes.set(0);
        self.stop.set(stop);
        self.applied.set(false);
        self.arena.reset();
        self.timers.borrow_mut().clear();
        self.metrics.borrow_mut().clear();
    }

    #[inline(always)]
    pub(crate) fn add_bytes(&self, n: usize) {
        self.bytes.set(self.bytes.get() + n);
    }

    /// Tells that the item under way made the operator keep n more bytes until the end of the frame, which therefore ends earlier.
    pub(crate) fn held(&self, n: usize) {
        self.stop.set(self.stop.get().saturating_sub(n));
    }

    /// The fault cell's address, 0 where it is none of the contract.
    pub(crate) fn fault_cell(&self) -> u32 {
        if cfg!(target_pointer_width = "32") {
            std::ptr::from_ref(self) as usize as u32
        } else {
            0
        }
    }

    /// Fills the fault cell with a message and place, which must outlive the instance.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn set_fault(&self, message: &'static str, place: &'static str) {
        self.message.set(message.as_ptr() as usize as u32);
        self.message_len.set(message.len() as u32);
        self.place.set(place.as_ptr() as usize as u32);
        self.place_len.set(place.len() as u32);
    }
}

/// What a frame sets and deletes of timers, in order.
#[derive(Default)]
pub struct TimerLog {
    pub(crate) key: Vec<u32>,
    pub(crate) name: Vec<u16>,
    pub(crate) domain: Vec<u8>,
    pub(crate) op: Vec<u8>,
    pub(crate) time: Vec<i64>,
    pub(crate) tag_end: Vec<u32>,
    pub(crate) tags: Vec<u8>,
}

impl TimerLog {
    /// What one change takes in an answer, without its tag.
    pub(crate) const BYTES: usize = 4 + 2 + 1 + 1 + 8 + 4;

    fn clear(&mut self) {
        self.key.clear();
        self.name.clear();
        self.domain.clear();
        self.op.clear();
        self.time.clear();
        self.tag_end.clear();
        self.tags.clear();
    }

    pub(crate) fn flush(&mut self, to: &mut Answer) {
        if self.key.is_empty() {
            return;
        }
        let head = to.open(abi::SECTION_TIMERS, 0, abi::TIMERS_SIZE, 0);
        to.put_u32(head, self.key.len() as u32);
        to.array(head + 8, &self.key);
        to.array(head + 12, &self.name);
        to.array(head + 16, &self.domain);
        to.array(head + 20, &self.op);
        to.array(head + 24, &self.time);
        self.tag_end.insert(0, 0);
        to.array(head + 28, &self.tag_end);
        to.array(head + 32, &self.tags);
        to.put_u32(head + 36, self.tags.len() as u32);
        to.close();
    }
}

/// What a frame reports, by metric.
#[derive(Default)]
pub struct MetricLog {
    pub(crate) values: Vec<Option<u64>>, // counters: to add; gauges: the bits of the float
    pub(crate) touched: usize,
}

impl MetricLog {
    fn clear(&mut self) {
        if self.touched > 0 {
            self.touched = 0;
            self.values.fill(None);
        }
    }

    pub(crate) fn flush(&self, to: &mut Answer) {
        if self.touched == 0 {
            return;
        }
        let size = abi::METRICS_SIZE + self.touched as u32 * abi::METRIC_ENTRY_SIZE;
        let head = to.open(abi::SECTION_METRICS, 0, size, 0);
        to.put_u32(head, self.touched as u32);
        let mut entry = head + abi::METRICS_SIZE as usize;
        for (id, value) in self.values.iter().enumerate() {
            if let Some(value) = value {
                to.put_u16(entry, id as u16);
                to.put_u64(entry + 8, *value);
                entry += abi::METRIC_ENTRY_SIZE as usize;
            }
        }
        to.close();
    }
}
