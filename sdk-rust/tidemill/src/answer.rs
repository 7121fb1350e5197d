//! Builds the answers to frames, and rows blocks: the other half of the codec.

use crate::buffer::{Buffer, ALIGN};
use tidemill_sys::abi;

/// Builds one answer, or one rows block, at a time in memory that it keeps.
#[derive(Default)]
pub struct Answer {
    echo: Echo,
    sections: usize, // at most
    entries: usize,
    section: usize, // where the open section began
    bytes: Buffer,  // always a multiple of 16 bytes long
    spans: Vec<usize>,
    lends: bool,
    lent: Option<usize>, // bytes of buffers that lie elsewhere
}

/// What an answer echoes of its frame.
#[derive(Clone, Copy, Default)]
pub struct Echo {
    pub kind: abi::Kind,
    pub sequence: u64,
    pub slot: u32,
}

impl Default for Buffer {
    fn default() -> Buffer {
        Buffer::new()
    }
}

impl Answer {
    /// Begins the answer to a frame, of at most so many sections. Nothing is written before the first of them. Where it lends,
    /// column buffers may stay where they are until the answer has been read.
    pub fn start(&mut self, echo: Echo, sections: usize, lends: bool) {
        self.echo = echo;
        (self.sections, self.entries) = (sections, 0);
        // Only addresses of 32 bits are addresses of the contract; elsewhere buffers are copied.
        (self.lends, self.lent) = (lends && cfg!(target_pointer_width = "32"), None);
    }

    fn begin(&mut self) {
        self.bytes.clear();
        self.spans.clear();
        self.extend(abi::HEADER_SIZE as usize + self.sections * abi::SECTION_ENTRY_SIZE as usize);
        self.bytes[..4].copy_from_slice(abi::MAGIC.as_bytes());
        self.put_u16(4, abi::VERSION as u16);
        self.put_u16(6, self.echo.kind.0);
        self.put_u64(16, self.echo.sequence);
        self.put_u32(24, self.echo.slot);
    }

    /// The number of sections so far.
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// Begins a section with a zeroed head and room for its nodes; returns where the head is.
    pub fn open(&mut self, id: abi::SectionID, index: u32, head: u32, nodes: usize) -> usize {
        if self.entries == 0 {
            self.begin();
        }
        self.section = self.extend(head as usize + nodes * abi::NODE_SIZE as usize);
        let entry = self.entry(self.entries);
        self.put_u16(entry, id.0);
        self.put_u16(entry + 2, index as u16);
        self.put_u32(entry + 8, self.section as u32);
        self.entries += 1;
        self.section
    }

    fn entry(&self, i: usize) -> usize {
        abi::HEADER_SIZE as usize + i * abi::SECTION_ENTRY_SIZE as usize
    }

    /// Ends the open section.
    pub fn close(&mut self) {
        let (entry, len) = (self.entry(self.entries - 1), self.bytes.len() - self.section);
        self.put_u32(entry + 12, len as u32);
    }

    /// Completes the header and returns the answer.
    pub fn finish(&mut self) -> &[u8] {
        if self.lent.is_some() {
            self.put_u32(28, abi::FLAG_ABSOLUTE);
            let base = self.bytes.as_ptr() as usize as u32;
            for i in 0..self.spans.len() {
                let at = self.spans[i];
                let offset = u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap_or_default());
                self.put_u32(at, base + offset);
            }
        }
        self.put_u32(8, self.bytes.len() as u32);
        self.put_u32(12, self.entries as u32);
        &self.bytes
    }

    /// The answer that was finished last.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of buffers that lie elsewhere in memory, which count as part of the answer.
    pub fn lent_bytes(&self) -> usize {
        self.lent.unwrap_or(0)
    }

    /// Begins a rows block, none of whose columns is a list.
    pub fn start_block(&mut self, rows: usize, columns: usize) {
        self.bytes.clear();
        self.spans.clear();
        (self.lends, self.lent) = (false, None);
        self.extend(abi::BLOCK_SIZE as usize + columns * abi::NODE_SIZE as usize);
        self.put_u32(0, rows as u32);
        self.put_u32(4, columns as u32);
        self.put_u32(8, columns as u32);
    }

    /// Completes the head of a rows block and returns it.
    pub fn finish_block(&mut self) -> &[u8] {
        self.put_u32(12, self.bytes.len() as u32);
        &self.bytes
    }

    /// Adds n zero bytes, and padding to the alignment of a buffer; returns where they begin.
    fn extend(&mut self, n: usize) -> usize {
        let at = self.bytes.len();
        let end = (at + n).next_multiple_of(ALIGN);
        self.bytes.reserve(end);
        // SAFETY: room up to the end was reserved, and is written here.
        unsafe {
            self.bytes.as_mut_ptr().add(at).write_bytes(0, end - at);
            self.bytes.set_len(end);
        }
        at
    }

    /// Adds bytes, and padding; returns where they begin.
    fn append(&mut self, data: &[u8]) -> usize {
        let at = self.bytes.len();
        self.bytes.reserve((at + data.len()).next_multiple_of(ALIGN));
        self.bytes.push(data);
        self.extend(0);
        at
    }

    /// Adds an array that a section's head names at a field, whose offset stays 0 where it has no elements.
    pub fn array<T: Number>(&mut self, field: usize, elements: &[T]) {
        if !elements.is_empty() {
            let at = self.append(T::bytes(elements));
            self.put_u32(field, at as u32);
        }
    }

    /// Makes data, which stays as it is until the answer has been read, the buffer of a node's span.
    pub fn buffer(&mut self, span: usize, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        self.put_u32(span + 4, data.len() as u32);
        if self.lends {
            self.lent = Some(self.lent.unwrap_or(0) + data.len());
            self.put_u32(span, data.as_ptr() as usize as u32);
            return;
        }
        let at = self.append(data);
        self.put_u32(span, at as u32);
        self.spans.push(span);
    }

    /// Appends bytes to the section.
    pub fn text(&mut self, data: &[u8]) {
        self.bytes.push(data);
        self.extend(0);
    }

    pub fn put_u16(&mut self, at: usize, v: u16) {
        self.bytes[at..at + 2].copy_from_slice(&v.to_le_bytes());
    }

    pub fn put_u32(&mut self, at: usize, v: u32) {
        self.bytes[at..at + 4].copy_from_slice(&v.to_le_bytes());
    }

    pub fn put_u64(&mut self, at: usize, v: u64) {
        self.bytes[at..at + 8].copy_from_slice(&v.to_le_bytes());
    }
}

/// A number whose bytes in memory are those of the contract: the contract is little-endian, as all machines that this SDK runs on.
pub trait Number: Copy {
    /// The elements as bytes.
    fn bytes(elements: &[Self]) -> &[u8] {
        // SAFETY: numbers have no padding, and every byte of them may be read.
        unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), std::mem::size_of_val(elements)) }
    }
}

const _: () = assert!(cfg!(target_endian = "little"), "the frames of the contract are little-endian");

macro_rules! numbers {
    ($($t:ty)*) => { $(impl Number for $t {})* };
}

numbers!(u8 u16 u32 i8 i16 i32 i64 f32 f64 crate::Timestamp crate::Date);
impl<const P: u32, const S: u32> Number for crate::Decimal<P, S> {}
