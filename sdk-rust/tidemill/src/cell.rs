//! The types of a row's fields.

use crate::answer::Number;
use crate::arena::Arena;
use crate::column_type::ColumnType;
use crate::frame::{slice, ColumnView};
use crate::testing_value::Datum;
use crate::writer::ColumnWriter;
use crate::{Date, Decimal, Timestamp};
use std::cmp::Ordering;
use tidemill_sys::abi;

/// A type that a row's field can have: one column, or a column that the host passes through.
///
/// Implemented for
/// - `bool`, `i8` to `i64`, `f32`, `f64`, [`Decimal`], [`Timestamp`], [`Date`], `&str` and `String` (utf8), `&[u8]` and `Vec<u8>` (binary);
/// - lists of these, which are never null themselves: `Vec<T>`, and `&[T]` of numbers, decimals, `Timestamp` and `Date`;
/// - `Option` of both, for columns that may be null;
/// - [`FromInput`] and [`FromKey`].
///
/// `&str`, `&[u8]` and `&[T]` are views of the frame; `String` and `Vec` allocate for each row.
///
/// # Safety
/// The SDK relies on what an implementation says of itself. Do not implement it.
#[diagnostic::on_unimplemented(
    message = "there is no column type for `{Self}`",
    note = "a column is bool, i8 to i64, f32, f64, Decimal, Timestamp, Date, &str, String, &[u8] or Vec<u8>, a Vec of these, or an \
            Option of all of them; the elements of a list are no Option and no list"
)]
pub unsafe trait Cell: Sized {
    /// The type with its texts and lists borrowed for another lifetime.
    type View<'a>;
    /// What the column is written as.
    const TYPE: ColumnType;
    /// Whether values may be null.
    const NULLABLE: bool = false;
    /// Whether it is a column of the module's own.
    const PASS: Pass = Pass::Own;
    /// Whether it can be part of a map's key.
    const ORDERED: bool = false;

    /// The value of a row.
    ///
    /// # Safety
    /// The column must be of this type and have the row, and `'a` must not outlive it.
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a>;
    /// Writes the value of a row behind those of all rows before.
    ///
    /// # Safety
    /// The column must have room for the row.
    unsafe fn write(value: &Self::View<'_>, to: &mut ColumnWriter, row: usize);
    /// A copy of a value, whose texts may be borrowed for less long.
    fn copy<'s, 'l: 's>(value: &Self::View<'l>) -> Self::View<'s>;
    /// The value with its texts and lists copied to the arena.
    ///
    /// # Safety
    /// The value must not be used once the arena has been reset.
    unsafe fn keep(value: Self::View<'_>, arena: &Arena) -> Self::View<'static>;
    /// The bytes of the content of a text or list.
    #[inline(always)]
    fn text_bytes(_: &Self::View<'_>) -> usize {
        0
    }
    /// The order of the host's keys: numbers by value, texts by their bytes, false before true.
    fn compare(_: &Self::View<'_>, _: &Self::View<'_>) -> Ordering {
        Ordering::Equal
    }
    /// Mixes the value into a hash.
    fn hash(_: &Self::View<'_>, seed: u64) -> u64 {
        seed
    }
    /// The value for a test.
    fn datum(value: &Self::View<'_>) -> Datum;
    /// A value from a test; `None` where it is of another type.
    fn from_datum(datum: &Datum) -> Option<Self::View<'static>>;
}

/// Where a field of an output row comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pass {
    /// From the module.
    Own,
    /// From the input row under way.
    Input,
    /// From the key of the item under way.
    Key,
}

/// Stands in an output row for a column that the host takes over from the row under way, so that its values never enter the module.
///
/// With `#[tm(all)]` it stands for all columns of the input port, else for the one that the field is named after
/// (`#[tm(name = "to", from = "dest")]` renames it). By itself it is a row of all columns: `Out<FromInput>`. Rows emitted by timers
/// have no such row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FromInput;

/// Stands in an output row for a key column that the host takes over, by the field's name or `from`; with `#[tm(all)]`, for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FromKey;

/// The multiplier of splitmix64, and the high half, which it mixes best, into the low one.
#[inline(always)]
pub fn mix(h: u64, v: u64) -> u64 {
    let h = (h ^ v).wrapping_mul(0xbf58476d1ce4e5b9);
    h ^ h >> 32
}

fn mix_text(h: u64, text: &[u8]) -> u64 {
    let mut h = mix(h, text.len() as u64);
    let mut words = text.chunks_exact(8);
    for word in &mut words {
        h = mix(h, u64::from_le_bytes(word.try_into().unwrap_or_default()));
    }
    mix(h, words.remainder().iter().fold(0, |tail, b| tail << 8 | u64::from(*b)))
}

macro_rules! number {
    ($($t:ty, $type:ident, $ordered:expr, $compare:expr, $bits:expr, $to:expr, $from:pat => $value:expr;)*) => {$(
        unsafe impl Cell for $t {
            type View<'a> = $t;
            const TYPE: ColumnType = ColumnType::of(abi::$type);
            const ORDERED: bool = $ordered;
            #[inline(always)]
            unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a> {
                unsafe { column.value(row) }
            }
            #[inline(always)]
            unsafe fn write(value: &$t, to: &mut ColumnWriter, row: usize) {
                unsafe { to.number(row, *value) }
            }
            #[inline(always)]
            fn copy<'s, 'l: 's>(value: &$t) -> $t {
                *value
            }
            #[inline(always)]
            unsafe fn keep(value: $t, _: &Arena) -> $t {
                value
            }
            #[inline(always)]
            fn compare(a: &$t, b: &$t) -> Ordering {
                $compare(a, b)
            }
            #[inline(always)]
            fn hash(value: &$t, seed: u64) -> u64 {
                mix(seed, $bits(*value))
            }
            fn datum(value: &$t) -> Datum {
                $to(*value)
            }
            fn from_datum(datum: &Datum) -> Option<$t> {
                match *datum {
                    $from => $value,
                    _ => None,
                }
            }
        }
    )*};
}

number! {
    i8, I8, true, Ord::cmp, |v| v as u64, |v| Datum::Int(v as i64), Datum::Int(v) => v.try_into().ok();
    i16, I16, true, Ord::cmp, |v| v as u64, |v| Datum::Int(v as i64), Datum::Int(v) => v.try_into().ok();
    i32, I32, true, Ord::cmp, |v| v as u64, |v| Datum::Int(v as i64), Datum::Int(v) => v.try_into().ok();
    i64, I64, true, Ord::cmp, |v| v as u64, Datum::Int, Datum::Int(v) => Some(v);
    f32, F32, false, f32::total_cmp, |v: f32| v.to_bits() as u64, |v| Datum::Float(v as f64), Datum::Float(v) => Some(v as f32);
    f64, F64, false, f64::total_cmp, f64::to_bits, Datum::Float, Datum::Float(v) => Some(v);
    Timestamp, TIMESTAMP, true, Ord::cmp, |v: Timestamp| v.0 as u64, |v: Timestamp| Datum::Int(v.0), Datum::Int(v) => Some(Timestamp(v));
    Date, DATE32, true, Ord::cmp, |v: Date| v.0 as u64, |v: Date| Datum::Int(v.0 as i64), Datum::Int(v) => v.try_into().ok().map(Date);
}

unsafe impl Cell for bool {
    type View<'a> = bool;
    const TYPE: ColumnType = ColumnType::of(abi::BOOL);
    const ORDERED: bool = true;
    #[inline(always)]
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a> {
        unsafe { ColumnView::bit(column.values, row) }
    }
    #[inline(always)]
    unsafe fn write(value: &bool, to: &mut ColumnWriter, row: usize) {
        unsafe { to.bool(row, *value) }
    }
    fn copy<'s, 'l: 's>(value: &bool) -> bool {
        *value
    }
    unsafe fn keep(value: bool, _: &Arena) -> bool {
        value
    }
    fn compare(a: &bool, b: &bool) -> Ordering {
        a.cmp(b)
    }
    fn hash(value: &bool, seed: u64) -> u64 {
        mix(seed, u64::from(*value))
    }
    fn datum(value: &bool) -> Datum {
        Datum::Bool(*value)
    }
    fn from_datum(datum: &Datum) -> Option<bool> {
        match *datum {
            Datum::Bool(v) => Some(v),
            _ => None,
        }
    }
}

/// The text of a column, all of which is UTF-8 by the contract.
unsafe fn utf8(bytes: &[u8]) -> &str {
    unsafe { std::str::from_utf8_unchecked(bytes) }
}

macro_rules! text {
    ($($lifetime:lifetime)?, $t:ty, $view:ty, $type:ident, $ordered:expr, $variant:ident, |$b:ident| $read:expr, |$v:ident| $bytes:expr,
     |$c:ident| $copy:expr, |$k:ident, $arena:ident| $keep:expr, |$d:ident| $datum:expr, |$f:ident| $from:expr) => {
        unsafe impl$(<$lifetime>)? Cell for $t {
            type View<'a> = $view;
            const TYPE: ColumnType = ColumnType::of(abi::$type);
            const ORDERED: bool = $ordered;
            #[inline(always)]
            unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a> {
                let $b: &'a [u8] = unsafe { column.text(row) };
                $read
            }
            #[inline(always)]
            unsafe fn write($v: &Self::View<'_>, to: &mut ColumnWriter, row: usize) {
                unsafe { to.text(row, $bytes) }
            }
            #[inline(always)]
            fn copy<'s, 'l: 's>($c: &Self::View<'l>) -> Self::View<'s> {
                $copy
            }
            #[inline(always)]
            unsafe fn keep($k: Self::View<'_>, $arena: &Arena) -> Self::View<'static> {
                $keep
            }
            #[inline(always)]
            fn text_bytes(value: &Self::View<'_>) -> usize {
                value.len()
            }
            fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> Ordering {
                a.cmp(b)
            }
            fn hash($v: &Self::View<'_>, seed: u64) -> u64 {
                mix_text(seed, $bytes)
            }
            fn datum($d: &Self::View<'_>) -> Datum {
                $datum
            }
            fn from_datum(datum: &Datum) -> Option<Self::View<'static>> {
                match datum {
                    Datum::$variant($f) => Some($from),
                    _ => None,
                }
            }
        }
    };
}

// What a test gets as a borrowed text is leaked: tests are short.
text!('t, &'t str, &'a str, UTF8, true, Text, |b| unsafe { utf8(b) }, |v| v.as_bytes(), |c| *c,
    |k, arena| unsafe { utf8(arena.keep(k.as_bytes())) }, |d| Datum::Text((*d).into()), |f| Box::leak(f.clone().into_boxed_str()));
text!(, String, String, UTF8, true, Text, |b| unsafe { utf8(b) }.into(), |v| v.as_bytes(), |c| c.clone(),
    |k, _arena| k, |d| Datum::Text(d.clone()), |f| f.clone());
text!('t, &'t [u8], &'a [u8], BINARY, false, Bytes, |b| b, |v| v, |c| *c,
    |k, arena| unsafe { arena.keep(k) }, |d| Datum::Bytes((*d).into()), |f| Box::leak(f.clone().into_boxed_slice()));
text!(, Vec<u8>, Vec<u8>, BINARY, false, Bytes, |b| b.into(), |v| v, |c| c.clone(),
    |k, _arena| k, |d| Datum::Bytes(d.clone()), |f| f.clone());

unsafe impl<T: Cell + NotNull> Cell for Option<T> {
    type View<'a> = Option<T::View<'a>>;
    const TYPE: ColumnType = T::TYPE;
    const NULLABLE: bool = true;
    #[inline(always)]
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> Option<T::View<'a>> {
        unsafe { column.valid(row).then(|| T::read(column, row)) }
    }
    #[inline(always)]
    unsafe fn write(value: &Self::View<'_>, to: &mut ColumnWriter, row: usize) {
        unsafe {
            to.valid(row, value.is_some());
            match value {
                Some(value) => T::write(value, to, row),
                None => to.zero(T::TYPE, row),
            }
        }
    }
    fn copy<'s, 'l: 's>(value: &Self::View<'l>) -> Self::View<'s> {
        value.as_ref().map(T::copy)
    }
    unsafe fn keep(value: Self::View<'_>, arena: &Arena) -> Self::View<'static> {
        value.map(|v| unsafe { T::keep(v, arena) })
    }
    #[inline(always)]
    fn text_bytes(value: &Self::View<'_>) -> usize {
        value.as_ref().map_or(0, T::text_bytes)
    }
    fn datum(value: &Self::View<'_>) -> Datum {
        value.as_ref().map_or(Datum::Null, T::datum)
    }
    fn from_datum(datum: &Datum) -> Option<Self::View<'static>> {
        match datum {
            Datum::Null => Some(None),
            datum => T::from_datum(datum).map(Some),
        }
    }
}

unsafe impl<const P: u32, const S: u32> Cell for Decimal<P, S> {
    type View<'a> = Decimal<P, S>;
    const TYPE: ColumnType = {
        let _ = Self::MAX; // refuses digits that no column has
        ColumnType::decimal(P, S)
    };
    const ORDERED: bool = true;
    #[inline(always)]
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a> {
        unsafe { column.value(row) }
    }
    #[inline(always)]
    unsafe fn write(value: &Self, to: &mut ColumnWriter, row: usize) {
        unsafe { to.number(row, *value) }
    }
    #[inline(always)]
    fn copy<'s, 'l: 's>(value: &Self) -> Self {
        *value
    }
    #[inline(always)]
    unsafe fn keep(value: Self, _: &Arena) -> Self {
        value
    }
    fn compare(a: &Self, b: &Self) -> Ordering {
        a.cmp(b)
    }
    fn hash(value: &Self, seed: u64) -> u64 {
        let unscaled = value.unscaled();
        mix(mix(seed, unscaled as u64), (unscaled >> 64) as u64)
    }
    fn datum(value: &Self) -> Datum {
        Datum::Decimal { unscaled: value.unscaled(), scale: S }
    }
    fn from_datum(datum: &Datum) -> Option<Self> {
        match *datum {
            Datum::Decimal { unscaled, scale } if scale == S => Decimal::from_unscaled(unscaled),
            _ => None,
        }
    }
}

unsafe impl<T: Element> Cell for Vec<T> {
    type View<'a> = Vec<T::View<'a>>;
    const TYPE: ColumnType = ColumnType::list_of(T::TYPE);
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> Self::View<'a> {
        unsafe { column.elements(row).map(|i| T::read(column, i)).collect() }
    }
    unsafe fn write(value: &Self::View<'_>, to: &mut ColumnWriter, row: usize) {
        unsafe {
            let first = to.list(T::TYPE, row, value.len());
            for (element, i) in value.iter().zip(first..) {
                T::write(element, to, i);
            }
        }
    }
    fn copy<'s, 'l: 's>(value: &Self::View<'l>) -> Self::View<'s> {
        value.iter().map(T::copy).collect()
    }
    unsafe fn keep(value: Self::View<'_>, arena: &Arena) -> Self::View<'static> {
        value.into_iter().map(|element| unsafe { T::keep(element, arena) }).collect()
    }
    fn text_bytes(value: &Self::View<'_>) -> usize {
        value.iter().map(|element| T::TYPE.width() + T::text_bytes(element)).sum()
    }
    fn datum(value: &Self::View<'_>) -> Datum {
        Datum::List(value.iter().map(T::datum).collect())
    }
    fn from_datum(datum: &Datum) -> Option<Self::View<'static>> {
        match datum {
            Datum::List(list) => list.iter().map(T::from_datum).collect(),
            _ => None,
        }
    }
}

unsafe impl<T: Fixed> Cell for &[T] {
    type View<'a> = &'a [T];
    const TYPE: ColumnType = ColumnType::list_of(T::TYPE);
    #[inline(always)]
    unsafe fn read<'a>(column: &ColumnView, row: usize) -> &'a [T] {
        unsafe {
            let elements = column.elements(row);
            slice(column.values.wrapping_add(elements.start * size_of::<T>()), elements.len())
        }
    }
    #[inline(always)]
    unsafe fn write(value: &&[T], to: &mut ColumnWriter, row: usize) {
        unsafe {
            let first = to.list(T::TYPE, row, value.len());
            to.numbers(first, value);
        }
    }
    #[inline(always)]
    fn copy<'s, 'l: 's>(value: &&'l [T]) -> &'s [T] {
        value
    }
    unsafe fn keep(value: &[T], arena: &Arena) -> &'static [T] {
        unsafe { slice(arena.keep_aligned(T::bytes(value)).as_ptr(), value.len()) }
    }
    #[inline(always)]
    fn text_bytes(value: &&[T]) -> usize {
        size_of_val(*value)
    }
    fn datum(value: &&[T]) -> Datum {
        Datum::List(value.iter().map(T::datum).collect())
    }
    fn from_datum(datum: &Datum) -> Option<&'static [T]> {
        match datum {
            Datum::List(list) => {
                let list: Option<Vec<T>> = list.iter().map(T::from_datum).collect();
                list.map(|list| &*list.leak())
            }
            _ => None,
        }
    }
}

/// Types of columns that `Option` may hold: all but another `Option`, and columns that are passed through.
pub trait NotNull {}

/// Types of columns that a list may hold: all but an `Option`, another list, and columns that are passed through.
pub trait Element: Cell {}

/// Elements whose values stand in the frame as in memory.
pub trait Fixed: Element + Number + for<'a> Cell<View<'a> = Self> + 'static {}

macro_rules! elements {
    ($($t:ty)*) => {$(
        impl Element for $t {}
        impl NotNull for $t {}
    )*};
}
elements!(bool i8 i16 i32 i64 f32 f64 Timestamp Date &str String &[u8] Vec<u8>);

macro_rules! fixed {
    ($($t:ty)*) => { $(impl Fixed for $t {})* };
}
fixed!(i8 i16 i32 i64 f32 f64 Timestamp Date);

impl<const P: u32, const S: u32> Element for Decimal<P, S> {}
impl<const P: u32, const S: u32> NotNull for Decimal<P, S> {}
impl<const P: u32, const S: u32> Fixed for Decimal<P, S> {}
impl<T: Element> NotNull for Vec<T> {}
impl<T: Fixed> NotNull for &[T] {}

macro_rules! passed {
    ($($t:ident, $pass:ident;)*) => {$(
        unsafe impl Cell for $t {
            type View<'a> = $t;
            const TYPE: ColumnType = ColumnType::NONE;
            const PASS: Pass = Pass::$pass;
            #[inline(always)]
            unsafe fn read<'a>(_: &ColumnView, _: usize) -> Self::View<'a> {
                $t
            }
            #[inline(always)]
            unsafe fn write(_: &$t, _: &mut ColumnWriter, _: usize) {}
            #[inline(always)]
            fn copy<'s, 'l: 's>(_: &$t) -> $t {
                $t
            }
            #[inline(always)]
            unsafe fn keep(_: $t, _: &Arena) -> $t {
                $t
            }
            fn datum(_: &$t) -> Datum {
                Datum::Null
            }
            fn from_datum(_: &Datum) -> Option<$t> {
                None
            }
        }
    )*};
}

passed! { FromInput, Input; FromKey, Key; }
