//! Reads the frames that the host sends: the guest's half of the codec. The layout is in the comments of `tidemill_sys::abi`.
//!
//! Everything here is a view of the frame. A view trusts the host: offsets are not checked. It must not be used once the frame is
//! gone, which is when the call that brought it returns.

use std::marker::PhantomData;
use std::ops::Range;
use tidemill_sys::abi;

/// One input frame.
pub struct Frame<'f> {
    pub(crate) kind: abi::Kind,
    pub(crate) sequence: u64,
    pub(crate) slot: u32,
    pub(crate) watermark: i64,
    pub(crate) processing_time: i64,
    pub(crate) seed: u64,
    pub(crate) port: u32,
    base: *const u8,
    batch: u32, // offsets of the sections, 0 where there is none
    keys: u32,
    timers: u32,
    states: [u32; abi::STATES_MAX as usize],
    bytes: PhantomData<&'f [u8]>,
}

/// Why a frame cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is not a frame of this version of the contract.
    Foreign,
    /// It has a section that must be understood and is not known.
    Section,
}

impl<'f> Frame<'f> {
    /// Reads header, section table and context.
    pub(crate) fn read(data: &'f [u8]) -> Result<Frame<'f>, Unreadable> {
        let base = data.as_ptr();
        let whole = data.len() >= abi::HEADER_SIZE as usize && &data[..4] == abi::MAGIC.as_bytes();
        // SAFETY: the header is there; the host wrote it.
        if !whole || unsafe { load::<u16>(base, 4) as u32 != abi::VERSION || load::<u32>(base, 8) as usize > data.len() } {
            return Err(Unreadable::Foreign);
        }
        // SAFETY: as above.
        let mut frame = unsafe {
            Frame {
                kind: abi::Kind(load(base, 6)),
                sequence: load(base, 16),
                slot: load(base, 24),
                watermark: 0,
                processing_time: 0,
                seed: 0,
                port: abi::NO_PORT,
                base,
                batch: 0,
                keys: 0,
                timers: 0,
                states: [0; abi::STATES_MAX as usize],
                bytes: PhantomData,
            }
        };
        // SAFETY: the table has that many entries; the host wrote it.
        for i in 0..unsafe { load::<u32>(base, 12) } {
            let entry = unsafe { base.add((abi::HEADER_SIZE + i * abi::SECTION_ENTRY_SIZE) as usize) };
            frame.section(entry)?;
        }
        Ok(frame)
    }

    fn section(&mut self, entry: *const u8) -> Result<(), Unreadable> {
        // SAFETY: entry is one of the section table, and what it names lies in the frame.
        unsafe {
            let at: u32 = load(entry, 8);
            match abi::SectionID(load(entry, 0)) {
                abi::SECTION_CONTEXT => {
                    let context = self.base.add(at as usize);
                    self.watermark = load(context, 0);
                    self.processing_time = load(context, 8);
                    self.seed = load(context, 16);
                    self.port = load::<u16>(context, 24) as u32;
                }
                abi::SECTION_BATCH => self.batch = at,
                abi::SECTION_KEYS => self.keys = at,
                abi::SECTION_TIMERS => self.timers = at,
                abi::SECTION_STATE => {
                    if let Some(state) = self.states.get_mut(load::<u16>(entry, 2) as usize) {
                        *state = at;
                    }
                }
                _ if load::<u32>(entry, 4) & abi::FLAG_MUST_UNDERSTAND != 0 => return Err(Unreadable::Section),
                _ => {}
            }
        }
        Ok(())
    }

    fn at(&self, offset: u32) -> Option<Section<'f>> {
        // SAFETY: offsets of sections lie in the frame.
        (offset > 0).then(|| Section { base: self.base, head: unsafe { self.base.add(offset as usize) }, bytes: PhantomData })
    }

    pub(crate) fn batch(&self) -> Option<Section<'f>> {
        self.at(self.batch)
    }

    pub(crate) fn keys(&self) -> Option<Section<'f>> {
        self.at(self.keys)
    }

    pub(crate) fn timers(&self) -> Option<Section<'f>> {
        self.at(self.timers)
    }

    pub(crate) fn state(&self, id: usize) -> Option<Section<'f>> {
        self.at(self.states[id])
    }

    /// The number of rows or timers.
    pub(crate) fn items(&self) -> usize {
        let section = match self.kind {
            abi::KIND_BATCH => self.batch(),
            abi::KIND_TIMERS => self.timers(),
            _ => None,
        };
        section.map_or(0, |s| s.u32(0) as usize)
    }
}

/// A section of a frame, or a rows block.
#[derive(Clone, Copy)]
pub(crate) struct Section<'f> {
    base: *const u8,
    head: *const u8,
    bytes: PhantomData<&'f [u8]>,
}

impl<'f> Section<'f> {
    /// The rows block in data, which is at a multiple of 16.
    pub fn block(data: &'f [u8]) -> Section<'f> {
        Section { base: data.as_ptr(), head: data.as_ptr(), bytes: PhantomData }
    }

    /// The number at a byte offset of the section's head.
    pub fn u32(&self, field: usize) -> u32 {
        // SAFETY: heads are longer than any field that this SDK reads.
        unsafe { load(self.head, field) }
    }

    /// The array of n elements whose offset stands at a field; empty where it is absent.
    pub fn array<T: Copy>(&self, field: usize, n: usize) -> &'f [T] {
        match self.u32(field) {
            0 => &[],
            // SAFETY: the array lies in the frame, and arrays are aligned to their elements.
            at => unsafe { std::slice::from_raw_parts(self.base.add(at as usize).cast(), n) },
        }
    }

    /// Appends the columns whose n nodes follow a head of `head` bytes. A list has a node for its elements behind its own.
    pub fn columns(&self, to: &mut Vec<ColumnView>, head: u32, n: usize) {
        let mut i = 0;
        while i < n {
            // SAFETY: the nodes lie in the frame, and their buffers too.
            unsafe {
                let node = self.head.add(head as usize + i * abi::NODE_SIZE as usize);
                let list = load::<u16>(node, 0) == abi::LIST.0;
                i += 1 + usize::from(list);
                let elements = if list { node.add(abi::NODE_SIZE as usize) } else { node };
                to.push(ColumnView {
                    values: self.buffer(elements, 32),
                    offsets: self.buffer(elements, 24),
                    validity: if load::<u32>(node, 8) > 0 { self.buffer(node, 16) } else { std::ptr::null() },
                    lists: if list { self.buffer(node, 24) } else { std::ptr::null() },
                });
            }
        }
    }

    /// The buffer that a span of a node names; null where it is absent.
    unsafe fn buffer(&self, node: *const u8, span: usize) -> *const u8 {
        unsafe {
            match load::<u32>(node, span + 4) {
                0 => std::ptr::null(),
                _ => self.base.add(load::<u32>(node, span) as usize),
            }
        }
    }
}

/// The buffers of a column; null where they are absent. Values and offsets of a list are those of its elements, which are never null.
#[derive(Clone, Copy)]
pub struct ColumnView {
    pub(crate) values: *const u8,
    pub(crate) offsets: *const u8,
    pub(crate) validity: *const u8, // absent where no row is null
    pub(crate) lists: *const u8,    // where the elements of each row begin
}

impl ColumnView {
    pub(crate) const NONE: ColumnView =
        ColumnView { values: std::ptr::null(), offsets: std::ptr::null(), validity: std::ptr::null(), lists: std::ptr::null() };

    /// The value of a row of a column with values of that type.
    #[inline(always)]
    pub(crate) unsafe fn value<T: Copy>(&self, row: usize) -> T {
        unsafe { self.values.cast::<T>().add(row).read() }
    }

    #[inline(always)]
    pub(crate) unsafe fn bit(bits: *const u8, row: usize) -> bool {
        unsafe { *bits.add(row >> 3) >> (row & 7) & 1 != 0 }
    }

    /// Whether a row has a value.
    #[inline(always)]
    pub(crate) unsafe fn valid(&self, row: usize) -> bool {
        self.validity.is_null() || unsafe { Self::bit(self.validity, row) }
    }

    /// The bytes of a row of a column of texts.
    #[inline(always)]
    pub(crate) unsafe fn text<'f>(&self, row: usize) -> &'f [u8] {
        unsafe {
            let offsets = self.offsets.cast::<i32>().add(row);
            let (from, to) = (*offsets as usize, *offsets.add(1) as usize);
            if from == to {
                return &[]; // the values may be absent
            }
            std::slice::from_raw_parts(self.values.add(from), to - from)
        }
    }

    /// The elements of a row of a column of lists.
    #[inline(always)]
    pub(crate) unsafe fn elements(&self, row: usize) -> Range<usize> {
        unsafe {
            let offsets = self.lists.cast::<i32>().add(row);
            *offsets as usize..*offsets.add(1) as usize
        }
    }
}

/// The array at an address; nothing where the buffer is absent.
#[inline(always)]
pub(crate) unsafe fn slice<'a, T>(at: *const u8, n: usize) -> &'a [T] {
    if at.is_null() || n == 0 {
        return &[];
    }
    unsafe { std::slice::from_raw_parts(at.cast(), n) }
}

#[inline(always)]
unsafe fn load<T: Copy>(at: *const u8, offset: usize) -> T {
    unsafe { at.add(offset).cast::<T>().read_unaligned() }
}
