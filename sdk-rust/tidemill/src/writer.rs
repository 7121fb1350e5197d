//! Rows on their way to columns of an answer. A row is written into the columns at once, and the columns are lent to the answer, so
//! that nothing is copied a second time.

use crate::answer::{Answer, Number};
use crate::buffer::Buffer;
use crate::column_type::ColumnType;
use crate::row::{Field, Row};
use tidemill_sys::abi;

/// The columns of the rows of one kind.
pub struct Rows {
    columns: Vec<ColumnWriter>,     // one for each field, also for those that are passed through
    types: Vec<(ColumnType, bool)>, // and whether it may be null; NONE for a field that is no column
    items: Buffer,                  // the item that each row belongs to, where rows have one
    identity: bool,                 // row i belongs to item i
    rows: usize,
    capacity: usize,
}

/// One column that is being written. Values and offsets of a list are those of its elements.
#[derive(Default)]
pub struct ColumnWriter {
    values: Buffer,
    offsets: Buffer,
    validity: Buffer,
    lists: Buffer, // where the elements of each row begin
    nulls: u32,
}

const ROWS_MIN: usize = 64;

impl Rows {
    /// The columns of fields.
    pub fn new(fields: &[Field]) -> Rows {
        let types: Vec<_> = fields.iter().map(|f| (f.r#type, f.nullable)).collect();
        Rows {
            columns: types.iter().map(|_| ColumnWriter::default()).collect(),
            types,
            items: Buffer::new(),
            identity: true,
            rows: 0,
            capacity: 0,
        }
    }

    pub fn len(&self) -> usize {
        self.rows
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.identity = true;
        for c in &mut self.columns {
            c.nulls = 0;
            if is_text(&c.offsets) {
                c.values.clear();
            }
        }
    }

    /// Adds a row that belongs to an item, and returns the bytes of its texts and lists.
    #[inline(always)]
    pub fn push_for<R: Row>(&mut self, row: &R::View<'_>, item: u32) -> usize {
        let at = self.rows;
        let texts = self.push::<R>(row);
        self.identity &= item as usize == at;
        // SAFETY: there is room for the items of all rows.
        unsafe { self.items.as_mut_ptr().cast::<u32>().add(at).write(item) };
        texts
    }

    /// The items that the rows belong to, unless they are those of the same numbers, of which `done` took effect.
    pub fn items(&self, done: usize) -> Option<&[u32]> {
        if self.identity && self.rows == done {
            return None;
        }
        // SAFETY: each row wrote its item.
        Some(unsafe { std::slice::from_raw_parts(self.items.as_ptr().cast(), self.rows) })
    }

    /// Adds a row and returns the bytes of its texts and lists.
    #[inline(always)]
    pub fn push<R: Row>(&mut self, row: &R::View<'_>) -> usize {
        if self.rows == self.capacity {
            self.grow(self.rows + 1);
        }
        // SAFETY: there is a column for each field of R, and room for the row in each.
        unsafe { R::write(row, self.columns.as_mut_ptr(), self.rows) };
        self.rows += 1;
        R::text_bytes(row)
    }

    /// Adds a row of zeros and nulls.
    pub fn push_zero(&mut self) {
        if self.rows == self.capacity {
            self.grow(self.rows + 1);
        }
        for (c, (t, nullable)) in self.columns.iter_mut().zip(&self.types) {
            // SAFETY: there is room for the row.
            unsafe {
                if *nullable {
                    c.valid(self.rows, false);
                }
                c.zero(*t, self.rows);
            }
        }
        self.rows += 1;
    }

    /// Makes room for so many rows.
    #[cold]
    pub fn grow(&mut self, rows: usize) {
        if rows <= self.capacity {
            return;
        }
        let rows = rows.max(2 * self.capacity).max(ROWS_MIN);
        self.items.reserve(rows * size_of::<u32>());
        for (c, (t, _)) in self.columns.iter_mut().zip(&self.types) {
            c.validity.reserve(rows.div_ceil(8));
            if t.list {
                reserve_offsets(&mut c.lists, rows);
            } else {
                c.reserve(*t, rows);
            }
        }
        self.capacity = rows;
    }

    /// The column of a field, for a batch that is copied as a whole: room for `rows` rows is made before, and they count from then on.
    pub fn column(&mut self, field: usize) -> &mut ColumnWriter {
        &mut self.columns[field]
    }

    /// Makes so many rows count, all of which have been written to every column.
    pub fn set_len(&mut self, rows: usize) {
        self.rows = rows;
    }

    /// Writes the column of a field as the node at an offset of the answer, and returns where the next column's begins.
    pub fn flush(&self, field: usize, tz: bool, to: &mut Answer, node: usize) -> usize {
        let (c, t, n) = (&self.columns[field], self.types[field].0, self.rows);
        let t = if tz { t.with_zone() } else { t };
        to.put_u16(node, t.number().0);
        to.put_u32(node + 4, n as u32);
        if n > 0 && c.nulls > 0 {
            to.put_u32(node + 8, c.nulls);
            to.buffer(node + 16, written(&c.validity, n.div_ceil(8)));
        }
        let next = node + abi::NODE_SIZE as usize;
        if !t.list {
            c.flush(t, n, to, node);
            return next;
        }
        to.put_u32(node + 12, 1);
        let mut elements = 0;
        if n > 0 {
            to.buffer(node + 24, written(&c.lists, 4 * (n + 1)));
            // SAFETY: each row wrote where its elements end.
            elements = unsafe { c.lists.as_ptr().cast::<i32>().add(n).read() as usize };
        }
        to.put_u16(next, t.base.0);
        to.put_u32(next + 4, elements as u32);
        c.flush(t.element(), elements, to, next);
        next + abi::NODE_SIZE as usize
    }
}

/// Only texts have offsets, also as elements of a list.
fn is_text(offsets: &Buffer) -> bool {
    offsets.capacity() > 0
}

/// The first n bytes of a buffer, all of which rows have been written to.
fn written(b: &Buffer, n: usize) -> &[u8] {
    assert!(n <= b.capacity());
    // SAFETY: each row wrote its part of the buffer.
    unsafe { std::slice::from_raw_parts(b.as_ptr(), n) }
}

/// Makes room for the offsets of so many rows, the first of which is 0.
fn reserve_offsets(offsets: &mut Buffer, rows: usize) {
    offsets.reserve(4 * (rows + 1));
    // SAFETY: there is room for the first offset.
    unsafe { offsets.as_mut_ptr().cast::<i32>().write(0) };
}

impl ColumnWriter {
    /// Makes room for so many values of a type that is no list.
    fn reserve(&mut self, t: ColumnType, values: usize) {
        match t.base {
            abi::Type(0) => {}
            abi::BOOL => self.values.reserve(values.div_ceil(8)),
            abi::UTF8 | abi::BINARY => reserve_offsets(&mut self.offsets, values),
            _ => self.values.reserve(values * t.width()),
        }
    }

    /// Writes the buffers of so many values, of a type that is no list, into a node.
    fn flush(&self, t: ColumnType, values: usize, to: &mut Answer, node: usize) {
        if values == 0 {
            return;
        }
        match t.base {
            abi::BOOL => to.buffer(node + 32, written(&self.values, values.div_ceil(8))),
            abi::UTF8 | abi::BINARY => {
                to.buffer(node + 24, written(&self.offsets, 4 * (values + 1)));
                to.buffer(node + 32, &self.values);
            }
            _ => to.buffer(node + 32, written(&self.values, values * t.width())),
        }
    }

    /// Begins the list of a row, behind those of all rows before: makes room for n elements, and returns the index of the first.
    pub(crate) unsafe fn list(&mut self, element: ColumnType, row: usize, n: usize) -> usize {
        unsafe {
            let offsets = self.lists.as_mut_ptr().cast::<i32>().add(row);
            let first = offsets.read() as usize;
            offsets.add(1).write((first + n) as i32);
            self.reserve(element, first + n);
            first
        }
    }

    /// Writes numbers from an index on. Room for them must have been made.
    #[inline(always)]
    pub(crate) unsafe fn numbers<T: Number>(&mut self, first: usize, values: &[T]) {
        unsafe { std::ptr::copy_nonoverlapping(values.as_ptr(), self.values.as_mut_ptr().cast::<T>().add(first), values.len()) };
    }

    /// Writes a number. Room for the row must have been made.
    #[inline(always)]
    pub(crate) unsafe fn number<T: Copy>(&mut self, row: usize, value: T) {
        unsafe { self.values.as_mut_ptr().cast::<T>().add(row).write(value) };
    }

    /// Writes a boolean, behind those of all rows before.
    #[inline(always)]
    pub(crate) unsafe fn bool(&mut self, row: usize, value: bool) {
        unsafe { bit(self.values.as_mut_ptr(), row, value) };
    }

    /// Writes whether the row has a value, behind those of all rows before.
    #[inline(always)]
    pub(crate) unsafe fn valid(&mut self, row: usize, value: bool) {
        self.nulls += u32::from(!value);
        unsafe { bit(self.validity.as_mut_ptr(), row, value) };
    }

    /// Writes a text, behind those of all rows before.
    #[inline(always)]
    pub(crate) unsafe fn text(&mut self, row: usize, text: &[u8]) {
        self.values.push(text);
        unsafe { self.offsets.as_mut_ptr().cast::<i32>().add(row + 1).write(self.values.len() as i32) };
    }

    /// Writes a zero of that type, behind the values of all rows before.
    pub(crate) unsafe fn zero(&mut self, t: ColumnType, row: usize) {
        unsafe {
            match t.number() {
                abi::Type(0) => {}
                abi::BOOL => self.bool(row, false),
                abi::UTF8 | abi::BINARY => self.text(row, &[]),
                abi::LIST => _ = self.list(t.element(), row, 0),
                _ => match t.width() {
                    1 => self.number(row, 0u8),
                    2 => self.number(row, 0u16),
                    4 => self.number(row, 0u32),
                    8 => self.number(row, 0u64),
                    _ => self.number(row, 0u128),
                },
            }
        }
    }

    /// Copies the values of all rows.
    pub(crate) fn copy_values(&mut self, bytes: &[u8]) {
        self.values.clear();
        self.values.push(bytes);
    }

    /// Copies the offsets of all rows, one more than there are rows.
    pub(crate) fn copy_offsets(&mut self, offsets: &[i32]) {
        self.offsets.clear();
        self.offsets.push(Number::bytes(offsets));
    }

    /// Copies where the elements of all rows begin, one more than there are rows.
    pub(crate) fn copy_lists(&mut self, offsets: &[i32]) {
        self.lists.clear();
        self.lists.push(Number::bytes(offsets));
    }

    /// Copies which rows have a value.
    pub(crate) fn copy_validity(&mut self, bits: &[u8], nulls: u32) {
        self.validity.clear();
        self.validity.push(bits);
        self.nulls = nulls;
    }
}

#[inline(always)]
unsafe fn bit(bits: *mut u8, row: usize, value: bool) {
    unsafe {
        let byte = bits.add(row >> 3);
        let mask = u8::from(value) << (row & 7);
        *byte = if row & 7 == 0 { mask } else { *byte | mask };
    }
}
