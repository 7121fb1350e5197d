//! The batch interface: columns in place of rows.

use crate::answer::{Answer, Number};
use crate::cell::{Cell, Fixed, FromInput, FromKey, Pass};
use crate::column_type::ColumnType;
use crate::frame::{slice, ColumnView, Frame};
use crate::host::Core;
use crate::output::{Port, ROW_BYTES};
use crate::part::{Declaration, Declare, Input, OpenProblem, Output, Part, PartRef};
use crate::row::{self, Field, Reading, Source};
use crate::writer::{ColumnWriter, Rows};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::rc::Rc;
use tidemill_sys::abi;

/// A struct of columns, made by `#[derive(Columns)]`.
///
/// Its fields are slices of `i8` to `i64`, `f32`, `f64`, [`Decimal`](crate::Decimal), [`Timestamp`](crate::Timestamp) and
/// [`Date`](crate::Date), [`Bits`], [`Texts`], [`Binaries`],
/// [`Lists`] of these, [`Nulls`] of all of them for columns that may be null, and in an output [`FromInput`] and [`FromKey`]. Types must be those of the input: nothing is converted.
/// Options are those of a [`Row`](crate::Row)'s fields; a `&[Timestamp]` with `#[tm(event_time)]` takes the rows' event times.
///
/// # Safety
/// The SDK relies on what an implementation says of itself. Only derive it.
#[diagnostic::on_unimplemented(message = "`{Self}` is no struct of columns", note = "derive Columns for it")]
pub unsafe trait Columns: Sized {
    /// The columns borrowed for another lifetime.
    type View<'a>;

    /// Adds the fields.
    fn fields(list: &mut Vec<Field>);
    /// Views of so many rows.
    ///
    /// # Safety
    /// There must be a column for each field, of its type, and `'a` must not outlive them.
    unsafe fn view<'a>(columns: &[ColumnView], rows: usize) -> Self::View<'a>;
    /// Copies the columns of so many rows.
    fn write(columns: &Self::View<'_>, to: &mut Write<'_>);
}

/// A type that a field of [`Columns`] can have.
///
/// # Safety
/// The SDK relies on what an implementation says of itself. Do not implement it.
#[diagnostic::on_unimplemented(
    message = "there is no column type for `{Self}`",
    note = "a column of a batch is a slice of numbers, Decimal, Timestamp or Date, or Bits, Texts, Binaries, Lists or Nulls of these"
)]
pub unsafe trait ColumnCell: Sized {
    /// The column borrowed for another lifetime.
    type View<'a>;
    /// What the column is written as.
    const TYPE: ColumnType;
    /// Whether rows may be null.
    const NULLABLE: bool = false;
    /// Whether it is a column of the module's own.
    const PASS: Pass = Pass::Own;

    /// The field.
    fn field(name: &'static str) -> Field {
        Field::of(name, Self::TYPE, Self::NULLABLE, Self::PASS)
    }
    /// A view of so many rows.
    ///
    /// # Safety
    /// The column must be of this type and have the rows, and `'a` must not outlive it.
    unsafe fn view<'a>(column: &ColumnView, rows: usize) -> Self::View<'a>;
    /// The number of rows; `None` where it has none of its own.
    fn rows(column: &Self::View<'_>) -> Option<usize>;
    /// Copies all rows.
    fn write(column: &Self::View<'_>, to: &mut ColumnWriter);
    /// The bytes that the column takes in an answer.
    fn bytes(column: &Self::View<'_>) -> usize;
}

/// Where the columns of an emitted batch are copied to.
pub struct Write<'a> {
    rows: &'a mut Rows,
    field: usize,
    len: usize,
    bytes: usize,
}

impl Write<'_> {
    /// Copies the next field's column.
    #[track_caller]
    pub fn column<C: ColumnCell>(&mut self, name: &str, column: &C::View<'_>) {
        if C::rows(column).is_some_and(|n| n != self.len) {
            panic!("column {name} of an emitted batch has another number of rows than the batch");
        }
        C::write(column, self.rows.column(self.field));
        self.bytes += C::bytes(column);
        self.field += 1;
    }
}

/// A column of booleans, or which rows of a column are valid: bit `i % 8` of byte `i / 8` is row `i`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    len: usize,
}

impl<'a> Bits<'a> {
    /// The first `len` bits of bytes.
    pub fn new(bytes: &'a [u8], len: usize) -> Bits<'a> {
        assert!(len <= 8 * bytes.len(), "{len} bits in {} bytes", bytes.len());
        Bits { bytes, len }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Row i.
    #[inline]
    pub fn get(&self, i: usize) -> bool {
        assert!(i < self.len, "row {i} of {}", self.len);
        self.bytes[i >> 3] >> (i & 7) & 1 != 0
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len.div_ceil(8)]
    }

    fn zeros(&self) -> u32 {
        (0..self.len).filter(|i| !self.get(*i)).count() as u32
    }
}

/// A column of booleans that is being made.
#[derive(Clone, Debug, Default)]
pub struct BitsBuf {
    bytes: Vec<u8>,
    len: usize,
}

impl BitsBuf {
    /// Adds a row.
    pub fn push(&mut self, value: bool) {
        if self.len & 7 == 0 {
            self.bytes.push(0);
        }
        self.bytes[self.len >> 3] |= u8::from(value) << (self.len & 7);
        self.len += 1;
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.len = 0;
    }

    /// The column.
    pub fn bits(&self) -> Bits<'_> {
        Bits { bytes: &self.bytes, len: self.len }
    }
}

macro_rules! text_columns {
    ($view:ident, $buf:ident, $method:ident, $t:ty, $type:ident, $what:literal, |$bytes:ident| $get:expr, |$v:ident| $push:expr) => {
        #[doc = concat!("A column of ", $what, ".")]
        #[derive(Clone, Copy, Debug)]
        pub struct $view<'a> {
            offsets: &'a [i32], // one more than there are rows
            bytes: &'a [u8],
        }

        impl<'a> $view<'a> {
            /// The number of rows.
            pub fn len(&self) -> usize {
                self.offsets.len() - 1
            }

            /// Whether there are no rows.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Row i.
            #[inline]
            pub fn get(&self, i: usize) -> &'a $t {
                let $bytes = &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize];
                $get
            }

            /// All rows.
            pub fn iter(self) -> impl Iterator<Item = &'a $t> {
                (0..self.len()).map(move |i| self.get(i))
            }
        }

        #[doc = concat!("A column of ", $what, " that is being made.")]
        #[derive(Clone, Debug)]
        pub struct $buf {
            offsets: Vec<i32>,
            bytes: Vec<u8>,
        }

        impl Default for $buf {
            fn default() -> Self {
                $buf { offsets: vec![0], bytes: Vec::new() }
            }
        }

        impl $buf {
            /// Adds a row.
            pub fn push(&mut self, $v: &$t) {
                self.bytes.extend_from_slice($push);
                self.offsets.push(self.bytes.len() as i32);
            }

            /// Removes all rows and keeps the memory.
            pub fn clear(&mut self) {
                self.offsets.truncate(1);
                self.bytes.clear();
            }

            /// The column.
            pub fn $method(&self) -> $view<'_> {
                $view { offsets: &self.offsets, bytes: &self.bytes }
            }
        }

        unsafe impl<'t> ColumnCell for $view<'t> {
            type View<'a> = $view<'a>;
            const TYPE: ColumnType = ColumnType::of(abi::$type);
            unsafe fn view<'a>(column: &ColumnView, rows: usize) -> $view<'a> {
                if rows == 0 {
                    return $view { offsets: &[0], bytes: &[] };
                }
                let offsets: &[i32] = unsafe { slice(column.offsets, rows + 1) };
                $view { offsets, bytes: unsafe { slice(column.values, offsets[rows] as usize) } }
            }
            fn rows(column: &$view<'_>) -> Option<usize> {
                Some(column.len())
            }
            fn write(column: &$view<'_>, to: &mut ColumnWriter) {
                to.copy_offsets(column.offsets);
                to.copy_values(column.bytes);
            }
            fn bytes(column: &$view<'_>) -> usize {
                4 * column.len() + column.bytes.len()
            }
        }
    };
}

// SAFETY of from_utf8_unchecked: a column of the host is UTF-8 by the contract, row by row, and a buffer takes only whole strings.
text_columns!(Texts, TextsBuf, texts, str, UTF8, "strings", |b| unsafe { std::str::from_utf8_unchecked(b) }, |v| v.as_bytes());
text_columns!(Binaries, BinariesBuf, binaries, [u8], BINARY, "byte strings", |b| b, |v| v);

/// A column some of whose rows may be null: a slice of numbers, [`Bits`], [`Texts`], [`Binaries`] or [`Lists`], and which rows are valid.
#[derive(Clone, Copy, Debug)]
pub struct Nulls<'a, C> {
    /// The values; what stands in the place of a null does not count.
    pub column: C,
    /// Which rows are valid; empty where no row is null.
    pub valid: Bits<'a>,
}

impl<C> Nulls<'_, C> {
    /// Whether row i is null.
    #[inline]
    pub fn is_null(&self, i: usize) -> bool {
        !self.valid.is_empty() && !self.valid.get(i)
    }
}

/// A column of lists: which elements of one column are those of each row.
///
/// ```
/// # use tidemill::{Lists, Texts};
/// fn longest<'a>(tags: Lists<'a, Texts<'a>>, row: usize) -> &'a str {
///     tags.range(row).map(|i| tags.elements.get(i)).max_by_key(|tag| tag.len()).unwrap_or_default()
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Lists<'a, C> {
    offsets: &'a [i32], // one more than there are rows
    /// The elements of all rows: a slice of numbers, [`Bits`], [`Texts`] or [`Binaries`].
    pub elements: C,
}

impl<C> Lists<'_, C> {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Which elements row i has.
    #[inline]
    pub fn range(&self, i: usize) -> Range<usize> {
        self.offsets[i] as usize..self.offsets[i + 1] as usize
    }
}

impl<'a, T> Lists<'_, &'a [T]> {
    /// Row i.
    #[inline]
    pub fn get(&self, i: usize) -> &'a [T] {
        &self.elements[self.range(i)]
    }
}

/// Where the rows of a column of lists that is being made end; its elements are in a column of their own.
#[derive(Clone, Debug)]
pub struct ListsBuf {
    offsets: Vec<i32>,
}

impl Default for ListsBuf {
    fn default() -> Self {
        ListsBuf { offsets: vec![0] }
    }
}

impl ListsBuf {
    /// Adds a row of the next n elements.
    pub fn push(&mut self, n: usize) {
        self.offsets.push(self.end() + n as i32);
    }

    /// Removes all rows and keeps the memory.
    pub fn clear(&mut self) {
        self.offsets.truncate(1);
    }

    /// The column of these elements, of which there must be as many as all rows have.
    #[track_caller]
    pub fn lists<C: Elements>(&self, elements: C) -> Lists<'_, C> {
        let (rows, given) = (self.end(), elements.count());
        assert!(given == rows as usize, "{given} elements for lists of {rows}");
        Lists { offsets: &self.offsets, elements }
    }

    fn end(&self) -> i32 {
        self.offsets[self.offsets.len() - 1]
    }
}

/// A column that can be the elements of [`Lists`].
pub trait Elements: ColumnCell {
    /// The number of elements.
    #[doc(hidden)]
    fn count(&self) -> usize;
}

impl Elements for Bits<'_> {
    fn count(&self) -> usize {
        self.len
    }
}

impl Elements for Texts<'_> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl Elements for Binaries<'_> {
    fn count(&self) -> usize {
        self.len()
    }
}

impl<T: Fixed> Elements for &[T] {
    fn count(&self) -> usize {
        <[T]>::len(self)
    }
}

unsafe impl<C: Elements> ColumnCell for Lists<'_, C> {
    type View<'a> = Lists<'a, C::View<'a>>;
    const TYPE: ColumnType = ColumnType::list_of(C::TYPE);
    unsafe fn view<'a>(column: &ColumnView, rows: usize) -> Self::View<'a> {
        if rows == 0 {
            return Lists { offsets: &[0], elements: unsafe { C::view(column, 0) } };
        }
        let offsets: &[i32] = unsafe { slice(column.lists, rows + 1) };
        Lists { offsets, elements: unsafe { C::view(column, offsets[rows] as usize) } }
    }
    fn rows(column: &Self::View<'_>) -> Option<usize> {
        Some(column.len())
    }
    fn write(column: &Self::View<'_>, to: &mut ColumnWriter) {
        to.copy_lists(column.offsets);
        C::write(&column.elements, to);
    }
    fn bytes(column: &Self::View<'_>) -> usize {
        4 * column.len() + C::bytes(&column.elements)
    }
}

unsafe impl<T: Fixed> ColumnCell for &[T] {
    type View<'a> = &'a [T];
    const TYPE: ColumnType = <T as Cell>::TYPE;
    unsafe fn view<'a>(column: &ColumnView, rows: usize) -> &'a [T] {
        unsafe { slice(column.values, rows) }
    }
    fn rows(column: &&[T]) -> Option<usize> {
        Some(column.len())
    }
    fn write(column: &&[T], to: &mut ColumnWriter) {
        to.copy_values(Number::bytes(column));
    }
    fn bytes(column: &&[T]) -> usize {
        size_of_val(*column)
    }
}

unsafe impl<'t> ColumnCell for Bits<'t> {
    type View<'a> = Bits<'a>;
    const TYPE: ColumnType = ColumnType::of(abi::BOOL);
    unsafe fn view<'a>(column: &ColumnView, rows: usize) -> Bits<'a> {
        Bits { bytes: unsafe { slice(column.values, rows.div_ceil(8)) }, len: rows }
    }
    fn rows(column: &Bits<'_>) -> Option<usize> {
        Some(column.len)
    }
    fn write(column: &Bits<'_>, to: &mut ColumnWriter) {
        to.copy_values(column.bytes());
    }
    fn bytes(column: &Bits<'_>) -> usize {
        column.len
    }
}

unsafe impl<C: ColumnCell> ColumnCell for Nulls<'_, C> {
    type View<'a> = Nulls<'a, C::View<'a>>;
    const TYPE: ColumnType = C::TYPE;
    const NULLABLE: bool = true;
    unsafe fn view<'a>(column: &ColumnView, rows: usize) -> Self::View<'a> {
        let len = if column.validity.is_null() { 0 } else { rows };
        let valid = Bits { bytes: unsafe { slice(column.validity, len.div_ceil(8)) }, len };
        Nulls { column: unsafe { C::view(column, rows) }, valid }
    }
    fn rows(column: &Self::View<'_>) -> Option<usize> {
        let rows = C::rows(&column.column);
        // A wrong number of flags makes the whole column wrong.
        if column.valid.is_empty() || rows == Some(column.valid.len) {
            rows
        } else {
            Some(usize::MAX)
        }
    }
    fn write(column: &Self::View<'_>, to: &mut ColumnWriter) {
        C::write(&column.column, to);
        to.copy_validity(column.valid.bytes(), column.valid.zeros());
    }
    fn bytes(column: &Self::View<'_>) -> usize {
        C::bytes(&column.column) + column.valid.len
    }
}

macro_rules! passed_columns {
    ($($t:ident, $pass:ident;)*) => {$(
        unsafe impl ColumnCell for $t {
            type View<'a> = $t;
            const TYPE: ColumnType = ColumnType::NONE;
            const PASS: Pass = Pass::$pass;
            unsafe fn view<'a>(_: &ColumnView, _: usize) -> Self::View<'a> {
                $t
            }
            fn rows(_: &$t) -> Option<usize> {
                None
            }
            fn write(_: &$t, _: &mut ColumnWriter) {}
            fn bytes(_: &$t) -> usize {
                0
            }
        }
    )*};
}

passed_columns! { FromInput, Input; FromKey, Key; }

fn fields<C: Columns>(to: &mut Declare<'_>, field: &Declaration) -> Vec<Field> {
    let mut list = Vec::new();
    C::fields(&mut list);
    if let Err(why) = row::check(&list) {
        to.wrong_field(field, why);
    }
    list
}

/// An input port whose rows come as columns: `C` derives [`Columns`].
///
/// A method with `#[on_batch(field)]` takes the columns and a [`Batch`]. The columns are views of the frame, valid until the method
/// returns. An error rejects the row that was selected last, or without one sends the batch again row by row, to find it; nothing the
/// method did takes effect.
pub struct BatchIn<C: Columns> {
    core: Rc<Core>,
    id: u32,
    name: &'static str,
    fields: Vec<Field>,
    reading: Reading,
    columns: Vec<ColumnView>,
    batches: PhantomData<fn() -> C>,
}

/// Some rows of the input. The host cuts the input where it wants: results must not depend on where.
pub struct Batch<'f> {
    core: Rc<Core>,
    keys: &'f [u32],
    rows: usize,
}

impl Batch<'_> {
    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Makes row i the item under way: states, timers and `Key` are those of its key then, and what an `Out` emits belongs to it.
    #[inline]
    #[track_caller]
    pub fn select(&self, i: usize) {
        assert!(i < self.rows, "row {i} of {}", self.rows);
        self.core.item.set(i as u32);
        if let Some(key) = self.keys.get(i) {
            self.core.key.set(*key);
        }
    }
}

impl<C: Columns> BatchIn<C> {
    /// The port's index.
    #[doc(hidden)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The first rows of a frame.
    #[doc(hidden)]
    pub fn batch<'f>(&mut self, frame: &Frame<'f>, items: usize) -> (C::View<'f>, Batch<'f>) {
        self.columns.clear();
        let mut times: &[i64] = &[];
        if let Some(batch) = frame.batch() {
            batch.columns(&mut self.columns, abi::BATCH_SIZE, batch.u32(8) as usize);
            times = batch.array(20, items);
        }
        self.reading.load(&self.columns, times, items);
        let keys = frame.keys().map_or(&[][..], |keys| keys.array(16, items));
        // SAFETY: the reading was bound to C's fields; it is used again only when the next frame comes.
        let columns = unsafe { C::view(&self.reading.views, items) };
        (columns, Batch { core: self.core.clone(), keys, rows: items })
    }
}

impl<C: Columns> Part for BatchIn<C> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        to.options(&field, "an input port", &[]);
        let fields = fields::<C>(to, &field);
        to.inputs += 1;
        BatchIn {
            core: to.core.clone(),
            id: to.inputs - 1,
            name: field.name,
            fields,
            reading: Reading::default(),
            columns: Vec::new(),
            batches: PhantomData,
        }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Input(self)
    }
}

impl<C: Columns> Input for BatchIn<C> {
    fn port(&self) -> abi::InputPort {
        abi::InputPort { name: self.name.into(), keyed: false, columns: row::schema(&self.fields) }
    }

    fn bind(&mut self, input: &abi::OpenInput) -> Result<abi::BindInput, OpenProblem> {
        self.reading =
            Reading::bind_exactly(&self.fields, &input.schema, "a Nulls").map_err(|p| OpenProblem::column(&input.port, p))?;
        Ok(abi::BindInput {
            columns: self.reading.names.clone(),
            event_time: self.reading.event_time,
            ..abi::BindInput::default()
        })
    }
}

/// An output port whose rows are emitted as columns: `C` derives [`Columns`].
pub struct BatchOut<C: Columns> {
    core: Rc<Core>,
    port: Port,
    fields: Vec<Field>,
    emitted: UnsafeCell<Emitted>,
    batches: PhantomData<fn(C)>,
}

#[derive(Default)]
struct Emitted {
    sections: Vec<Section>,
    used: usize,
}

/// One section of an answer.
struct Section {
    rows: Rows,
    items: Option<Vec<u32>>, // None: a row for each item
    spare: Vec<u32>,         // memory of items
}

impl<C: Columns> BatchOut<C> {
    /// Emits one row for each row of the batch under way. The columns are copied.
    #[track_caller]
    pub fn emit(&self, columns: C::View<'_>) {
        self.add(&columns, None);
    }

    /// Emits rows of which row j belongs to row `items[j]` of the batch under way. Both are copied.
    #[track_caller]
    pub fn emit_for(&self, items: &[u32], columns: C::View<'_>) {
        self.add(&columns, Some(items));
    }

    #[track_caller]
    fn add(&self, columns: &C::View<'_>, items: Option<&[u32]>) {
        // SAFETY: nothing that is called while it is borrowed is the user's or comes back here.
        let e = unsafe { &mut *self.emitted.get() };
        if e.used == e.sections.len() {
            e.sections.push(Section { rows: Rows::new(&self.fields), items: None, spare: Vec::new() });
        }
        let s = &mut e.sections[e.used];
        let len = items.map_or(self.core.items.get(), <[u32]>::len);
        s.rows.clear();
        let mut write = Write { rows: &mut s.rows, field: 0, len, bytes: 0 };
        C::write(columns, &mut write);
        self.core.add_bytes(write.bytes + len * ROW_BYTES);
        s.rows.set_len(len);
        s.items = items.map(|items| {
            let mut list = std::mem::take(&mut s.spare);
            list.extend_from_slice(items);
            list
        });
        e.used += 1;
    }
}

impl<C: Columns> Part for BatchOut<C> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        let fields = fields::<C>(to, &field);
        let port = Port::declare(to, field, fields.clone());
        BatchOut { core: to.core.clone(), port, fields, emitted: UnsafeCell::default(), batches: PhantomData }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Output(self)
    }
}

impl<C: Columns> Output for BatchOut<C> {
    fn name(&self) -> &str {
        self.port.name
    }

    fn bind(&mut self) -> Result<abi::BindOutput, OpenProblem> {
        debug_assert!(self.fields.iter().all(|f| f.source != Source::EventTime));
        self.port.bind(&self.core)
    }

    fn reset(&mut self) {
        let e = self.emitted.get_mut();
        for s in &mut e.sections[..e.used] {
            if let Some(mut items) = s.items.take() {
                items.clear();
                s.spare = items;
            }
        }
        e.used = 0;
    }

    fn sections(&self) -> usize {
        // SAFETY: as in add.
        unsafe { (*self.emitted.get()).used }
    }

    fn flush(&mut self, to: &mut Answer, _: usize) {
        let e = self.emitted.get_mut();
        for s in &e.sections[..e.used] {
            self.port.write(to, &self.core, &s.rows, s.items.as_deref());
        }
    }
}
