//! Rows: structs whose fields are columns.

use crate::arena::Arena;
use crate::buffer::Buffer;
use crate::cell::{Cell, Pass};
use crate::column_type::ColumnType;
use crate::frame::ColumnView;
use crate::testing_value::Datum;
use crate::writer::ColumnWriter;
use std::borrow::Cow;
use std::cmp::Ordering;
use tidemill_sys::abi;

/// A row, made by `#[derive(Row)]` for a struct whose fields are columns, and for each type of column by itself.
///
/// A struct may have one lifetime, of texts and lists that are borrowed; it is `'static` where the type is named in a part:
/// `In<Flight<'static>>`. Options of a field:
///
/// | option | meaning |
/// |---|---|
/// | `#[tm(name = "n")]` | the column's name, the field's where absent |
/// | `#[tm(event_time)]` | of a [`Timestamp`](crate::Timestamp) in an input row: no column, but the row's event time |
/// | `#[tm(name = "n", event_time)]` | of a `Timestamp` in an output row: a column that is the row's event time |
/// | `#[tm(tz)]` | of a `Timestamp`, or a list of them, in an output row or a state: a column of type timestamp_tz |
/// | `#[tm(from = "n")]` | of [`FromInput`](crate::FromInput) and [`FromKey`](crate::FromKey): the column that is taken over |
/// | `#[tm(all)]` | of `FromInput` and `FromKey`: all columns are taken over |
/// | `#[tm(flatten)]` | of a row: its columns, as if they stood here |
///
/// # Safety
/// The SDK relies on what an implementation says of itself. Only derive it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no row",
    note = "derive Row for a struct of columns, or use a type of column"
)]
pub unsafe trait Row: Sized {
    /// The row with its texts and lists borrowed for another lifetime.
    type View<'a>;
    /// The number of fields, those of flattened rows counted.
    const LEN: usize;
    /// The most that a row takes in an answer, without the contents of texts and lists.
    const WIDTH: usize;
    /// Whether it can be a map's key.
    const ORDERED: bool;

    /// Adds the fields.
    fn fields(list: &mut Vec<Field>);
    /// The row at an index of its columns.
    ///
    /// # Safety
    /// There must be a column for each field, of its type, and `'a` must not outlive them.
    unsafe fn read<'a>(columns: *const ColumnView, row: usize) -> Self::View<'a>;
    /// Writes the row behind those before.
    ///
    /// # Safety
    /// There must be a column for each field, with room for the row.
    unsafe fn write(row: &Self::View<'_>, to: *mut ColumnWriter, at: usize);
    /// A copy of a row, whose texts may be borrowed for less long.
    fn copy<'s, 'l: 's>(row: &Self::View<'l>) -> Self::View<'s>;
    /// The row with its texts and lists copied to the arena.
    ///
    /// # Safety
    /// The row must not be used once the arena has been reset.
    unsafe fn keep(row: Self::View<'_>, arena: &Arena) -> Self::View<'static>;
    /// The bytes of the contents of all texts and lists.
    fn text_bytes(row: &Self::View<'_>) -> usize;
    /// The order of the host's keys, field by field.
    fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> Ordering;
    /// Mixes the row into a hash.
    fn hash(row: &Self::View<'_>, seed: u64) -> u64;
    /// Adds the values for a test.
    fn data(row: &Self::View<'_>, to: &mut Vec<Datum>);
    /// The row from values of a test; `None` where one is of another type.
    fn from_data(data: &[Datum]) -> Option<Self::View<'static>>;
}

/// A row or type of column that borrows nothing and has a default, so that it can be changed in place.
pub trait Owned: Default + for<'a> Row<View<'a> = Self> {}

impl<T: Default + for<'a> Row<View<'a> = T>> Owned for T {}

unsafe impl<T: Cell> Row for T {
    type View<'a> = T::View<'a>;
    const LEN: usize = 1;
    const WIDTH: usize = cell_width::<T>();
    const ORDERED: bool = T::ORDERED;

    fn fields(list: &mut Vec<Field>) {
        list.push(Field::new::<T>("").scalar());
    }
    #[inline(always)]
    unsafe fn read<'a>(columns: *const ColumnView, row: usize) -> T::View<'a> {
        unsafe { T::read(&*columns, row) }
    }
    #[inline(always)]
    unsafe fn write(row: &T::View<'_>, to: *mut ColumnWriter, at: usize) {
        unsafe { T::write(row, &mut *to, at) }
    }
    #[inline(always)]
    fn copy<'s, 'l: 's>(row: &T::View<'l>) -> T::View<'s> {
        T::copy(row)
    }
    #[inline(always)]
    unsafe fn keep(row: T::View<'_>, arena: &Arena) -> T::View<'static> {
        unsafe { T::keep(row, arena) }
    }
    #[inline(always)]
    fn text_bytes(row: &T::View<'_>) -> usize {
        T::text_bytes(row)
    }
    #[inline(always)]
    fn compare(a: &T::View<'_>, b: &T::View<'_>) -> Ordering {
        T::compare(a, b)
    }
    #[inline(always)]
    fn hash(row: &T::View<'_>, seed: u64) -> u64 {
        T::hash(row, seed)
    }
    fn data(row: &T::View<'_>, to: &mut Vec<Datum>) {
        to.push(T::datum(row));
    }
    fn from_data(data: &[Datum]) -> Option<T::View<'static>> {
        T::from_datum(data.first()?)
    }
}

/// The most that a value takes in an answer, without the content of a text or list.
pub const fn cell_width<T: Cell>() -> usize {
    match T::PASS {
        Pass::Own => T::TYPE.width() + T::NULLABLE as usize,
        _ => 0,
    }
}

/// A field of a row.
#[derive(Clone, Debug)]
pub struct Field {
    pub(crate) name: Cow<'static, str>,
    pub(crate) r#type: ColumnType,
    pub(crate) nullable: bool,
    pub(crate) source: Source,
    pub(crate) event_time: bool, // the column is the event time of output rows
    pub(crate) tz: bool,
    named: bool,
}

/// What a field is filled from or becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Column,
    EventTime, // of an input row, not a column
    Input(From),
    Key(From),
}

/// The column that is taken over; `None` for all.
pub(crate) type From = Option<&'static str>;

impl Field {
    /// The field of a type.
    pub fn new<T: Cell>(name: &'static str) -> Field {
        Field::of(name, T::TYPE, T::NULLABLE, T::PASS)
    }

    /// The field of a column.
    pub(crate) fn of(name: &'static str, r#type: ColumnType, nullable: bool, pass: Pass) -> Field {
        let source = match pass {
            Pass::Own => Source::Column,
            Pass::Input => Source::Input(Some(name)),
            Pass::Key => Source::Key(Some(name)),
        };
        Field { name: name.into(), r#type, nullable, source, event_time: false, tz: false, named: false }
    }

    /// Gives the column a name.
    pub fn name(mut self, name: &'static str) -> Field {
        (self.name, self.named) = (name.into(), true);
        match &mut self.source {
            Source::Input(from) | Source::Key(from) => *from = Some(name),
            _ => {}
        }
        self
    }

    /// The option `event_time`.
    pub fn event_time(mut self) -> Field {
        if self.named {
            self.event_time = true;
        } else {
            self.source = Source::EventTime;
        }
        self
    }

    /// The option `tz`.
    pub fn tz(mut self) -> Field {
        self.tz = true;
        self
    }

    /// The option `from`.
    pub fn from(mut self, column: &'static str) -> Field {
        match &mut self.source {
            Source::Input(from) | Source::Key(from) => *from = Some(column),
            _ => {}
        }
        self
    }

    /// The option `all`.
    pub fn all(mut self) -> Field {
        match &mut self.source {
            Source::Input(from) | Source::Key(from) => *from = None,
            _ => {}
        }
        self
    }

    /// A row of one column: what is passed through by itself is all of it.
    fn scalar(self) -> Field {
        self.all()
    }

    pub(crate) fn r#type(&self) -> ColumnType {
        if self.tz {
            self.r#type.with_zone()
        } else {
            self.r#type
        }
    }

    pub(crate) fn column(&self) -> abi::Field {
        abi::Field { name: self.name.to_string(), r#type: self.r#type().to_string(), nullable: self.nullable }
    }
}

/// The fields of a row, whose only column, where it is a type of column, has the given name.
pub(crate) fn fields<R: Row>(scalar: &str) -> Result<Vec<Field>, String> {
    let mut list = Vec::with_capacity(R::LEN);
    R::fields(&mut list);
    if let [f] = list.as_mut_slice() {
        if f.name.is_empty() {
            f.name = scalar.to_string().into();
        }
    }
    check(&list).map(|()| list)
}

/// Refuses fields that cannot stand beside each other.
pub(crate) fn check(list: &[Field]) -> Result<(), String> {
    for f in list {
        let timestamp = f.r#type == ColumnType::of(abi::TIMESTAMP) && !f.nullable;
        if (f.event_time || f.source == Source::EventTime) && !timestamp {
            return Err(format!("field {}: only a Timestamp can be the event time", f.name));
        }
    }
    for (i, f) in list.iter().enumerate() {
        if f.source == Source::Column && list[..i].iter().any(|other| other.source == Source::Column && other.name == f.name) {
            return Err(format!("there are two columns {}", f.name));
        }
    }
    Ok(())
}

/// The columns of the fields, without those that are passed through and the event time.
pub(crate) fn schema(fields: &[Field]) -> Vec<abi::Field> {
    fields.iter().filter(|f| f.source == Source::Column).map(Field::column).collect()
}

/// The nodes that the columns of fields take in a frame.
pub(crate) fn nodes(fields: &[Field]) -> usize {
    fields.iter().map(|f| f.r#type.nodes()).sum()
}

/// A column that does not fit.
#[derive(Debug)]
pub(crate) struct ColumnProblem {
    pub column: String,
    pub message: String,
}

/// How the columns of a resolved schema become rows.
#[derive(Default)]
pub(crate) struct Reading {
    pub names: Vec<String>, // of the columns to ask for
    pub event_time: bool,
    fields: Vec<ReadField>,
    /// A view for each field, once loaded.
    pub views: Vec<ColumnView>,
    times: Vec<i64>, // stand for absent event times
}

struct ReadField {
    source: Source,
    convert: Convert,
    widened: Buffer,
}

/// From a column's type to a field's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Convert {
    Same,
    Widen(abi::Type, abi::Type),
}

/// Whether a field of one type takes a column of another.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn takes(field: ColumnType, column: ColumnType) -> bool {
    conversion(column, field).is_some()
}

/// The conversions: whole numbers widen, and up to 32 bits also to f64; a text can be read as bytes, and a decimal as one of more digits
/// with the same scale. Lists are converted as their elements are.
fn conversion(column: ColumnType, field: ColumnType) -> Option<Convert> {
    const TIMES: [abi::Type; 2] = [abi::TIMESTAMP, abi::TIMESTAMP_TZ];
    let whole = |t| [abi::I8, abi::I16, abi::I32, abi::I64].iter().position(|x| *x == t);
    if column.list != field.list {
        return None;
    }
    match (column.base, field.base) {
        (abi::DECIMAL128, abi::DECIMAL128) => field.holds(column).then_some(Convert::Same),
        (c, f) if c == f || TIMES.contains(&c) && TIMES.contains(&f) => Some(Convert::Same),
        (abi::UTF8, abi::BINARY) => Some(Convert::Same),
        (c @ (abi::I8 | abi::I16 | abi::I32 | abi::F32), abi::F64) => Some(Convert::Widen(c, abi::F64)),
        (c, f) => (whole(c)? < whole(f)?).then_some(Convert::Widen(c, f)),
    }
}

impl Reading {
    /// Finds the fields' columns in a schema.
    pub fn bind(fields: &[Field], schema: &[abi::Field], nullable: &str) -> Result<Reading, ColumnProblem> {
        let mut r = Reading::default();
        for f in fields {
            let problem = |message: String| Err(ColumnProblem { column: f.name.to_string(), message });
            let mut convert = Convert::Same;
            match f.source {
                Source::EventTime => r.event_time = true,
                Source::Column => {
                    let Some(column) = schema.iter().find(|c| c.name == f.name) else {
                        return problem("the input does not have it".into());
                    };
                    if column.nullable && !f.nullable {
                        return problem(format!("it may be null, so its field must be {nullable}"));
                    }
                    let Some(found) = ColumnType::parse(&column.r#type).and_then(|t| conversion(t, f.r#type())) else {
                        return problem(format!("it is of type {}, its field takes {}", column.r#type, f.r#type()));
                    };
                    convert = found;
                    r.names.push(column.name.clone());
                }
                _ => return problem("FromInput and FromKey belong in output rows".into()),
            }
            r.fields.push(ReadField { source: f.source, convert, widened: Buffer::new() });
        }
        Ok(r)
    }

    /// As `bind`, for columns that must have the very types of the fields.
    pub fn bind_exactly(fields: &[Field], schema: &[abi::Field], nullable: &str) -> Result<Reading, ColumnProblem> {
        let r = Reading::bind(fields, schema, nullable)?;
        for f in fields.iter().filter(|f| f.source == Source::Column) {
            let given = schema.iter().find(|c| c.name == f.name).map_or("", |c| c.r#type.as_str());
            let wanted = f.r#type();
            let has = ColumnType::parse(given);
            if has != Some(wanted) && has != Some(wanted.with_zone()) {
                let message = format!("it is of type {given}, its field takes {wanted}");
                return Err(ColumnProblem { column: f.name.to_string(), message });
            }
        }
        Ok(r)
    }

    /// Takes the columns of `rows` rows, in the order of `names`, and their event times.
    pub fn load(&mut self, columns: &[ColumnView], times: &[i64], rows: usize) {
        self.views.clear();
        let mut columns = columns.iter();
        for f in &mut self.fields {
            if f.source == Source::EventTime {
                let values = if times.is_empty() {
                    self.times.resize(rows.max(self.times.len()), abi::WATERMARK_NONE);
                    self.times.as_ptr()
                } else {
                    times.as_ptr()
                };
                self.views.push(ColumnView { values: values.cast(), ..ColumnView::NONE });
                continue;
            }
            let mut view = columns.next().copied().unwrap_or(ColumnView::NONE);
            if let Convert::Widen(from, to) = f.convert {
                // SAFETY: the column has so many rows; those of a list are its elements.
                unsafe {
                    let values = if view.lists.is_null() { rows } else { *view.lists.cast::<i32>().add(rows) as usize };
                    widen(from, to, view.values, values, &mut f.widened);
                }
                view.values = f.widened.as_ptr();
            }
            self.views.push(view);
        }
    }
}

unsafe fn widen(from: abi::Type, to: abi::Type, values: *const u8, rows: usize, out: &mut Buffer) {
    out.reserve(rows * ColumnType::of(to).width());
    let to_ptr = out.as_mut_ptr();
    macro_rules! cases {
        ($(($f:ident, $ft:ty) => ($t:ident, $tt:ty);)*) => {
            match (from, to) {
                $((abi::$f, abi::$t) => for i in 0..rows {
                    unsafe { to_ptr.cast::<$tt>().add(i).write(values.cast::<$ft>().add(i).read().into()) }
                })*
                _ => unreachable!("a conversion that bind does not make"),
            }
        };
    }
    cases! {
        (I8, i8) => (I16, i16);
        (I8, i8) => (I32, i32);
        (I8, i8) => (I64, i64);
        (I16, i16) => (I32, i32);
        (I16, i16) => (I64, i64);
        (I32, i32) => (I64, i64);
        (I8, i8) => (F64, f64);
        (I16, i16) => (F64, f64);
        (I32, i32) => (F64, f64);
        (F32, f32) => (F64, f64);
    }
}
