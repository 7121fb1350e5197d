//! Types of columns: their names, and how wide they are.

use std::fmt;
use tidemill_sys::abi;

/// The type of a column. A list is told by the type of its elements, which are no lists themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnType {
    /// Of a list, that of its elements.
    pub(crate) base: abi::Type,
    /// Of a decimal: how many there are, and how many of them stand behind the point.
    digits: u8,
    scale: u8,
    pub(crate) list: bool,
}

impl ColumnType {
    /// What is no column of the module's own.
    pub const NONE: ColumnType = ColumnType::of(abi::Type(0));

    /// A type without parameters.
    pub const fn of(base: abi::Type) -> ColumnType {
        ColumnType { base, digits: 0, scale: 0, list: false }
    }

    /// A decimal of at most so many digits, `scale` of which stand behind the point.
    pub const fn decimal(digits: u32, scale: u32) -> ColumnType {
        ColumnType { base: abi::DECIMAL128, digits: digits as u8, scale: scale as u8, list: false }
    }

    /// Lists of such elements.
    pub const fn list_of(element: ColumnType) -> ColumnType {
        ColumnType { list: true, ..element }
    }

    /// The type of a list's elements.
    pub const fn element(self) -> ColumnType {
        ColumnType { list: false, ..self }
    }

    /// The type's number in frames.
    pub const fn number(self) -> abi::Type {
        if self.list {
            abi::LIST
        } else {
            self.base
        }
    }

    /// The nodes that a column takes in a frame: a list's elements have their own.
    pub const fn nodes(self) -> usize {
        1 + self.list as usize
    }

    /// The bytes that a value takes in a frame, without the contents of texts and lists.
    pub const fn width(self) -> usize {
        match self.number() {
            abi::BOOL | abi::I8 => 1,
            abi::I16 => 2,
            abi::I64 | abi::F64 | abi::TIMESTAMP | abi::TIMESTAMP_TZ => 8,
            abi::DECIMAL128 => 16,
            _ => 4,
        }
    }

    /// Of a timestamp, the one with a zone.
    pub fn with_zone(self) -> ColumnType {
        let base = if self.base == abi::TIMESTAMP { abi::TIMESTAMP_TZ } else { self.base };
        ColumnType { base, ..self }
    }

    /// Whether a decimal has all values of another, written in the same way.
    pub fn holds(self, other: ColumnType) -> bool {
        self.scale == other.scale && self.digits >= other.digits
    }

    /// The digits of a decimal behind the point.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn scale(self) -> u32 {
        self.scale.into()
    }

    /// Whether a decimal has as many digits as a number.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn has_room(self, unscaled: i128) -> bool {
        unscaled.unsigned_abs() < 10u128.pow(self.digits.into())
    }

    /// The type of a name in a schema.
    pub fn parse(name: &str) -> Option<ColumnType> {
        let inside = |before, after| name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        if let Some(element) = inside("list<", ">") {
            return ColumnType::parse(element).filter(|t| !t.list).map(ColumnType::list_of);
        }
        if let Some(parameters) = inside("decimal128(", ")") {
            let (digits, scale) = parameters.split_once(',')?;
            return Some(ColumnType::decimal(digits.parse().ok()?, scale.parse().ok()?));
        }
        abi::TYPE_NAMES.iter().find(|(_, other)| *other == name).map(|(t, _)| ColumnType::of(*t))
    }
}

/// The name in a schema.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.list {
            return write!(f, "list<{}>", self.element());
        }
        if self.base == abi::DECIMAL128 {
            return write!(f, "decimal128({},{})", self.digits, self.scale);
        }
        let name = abi::TYPE_NAMES.iter().find(|(other, _)| *other == self.base);
        f.write_str(name.map_or("", |(_, name)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        let text = ColumnType::of(abi::UTF8);
        for (t, name, width) in [
            (ColumnType::of(abi::BOOL), "bool", 1),
            (ColumnType::of(abi::I16), "i16", 2),
            (ColumnType::of(abi::DATE32), "date32", 4),
            (ColumnType::of(abi::TIMESTAMP), "timestamp", 8),
            (ColumnType::of(abi::TIMESTAMP).with_zone(), "timestamp_tz", 8),
            (text, "utf8", 4),
            (ColumnType::decimal(38, 0), "decimal128(38,0)", 16),
            (ColumnType::list_of(text), "list<utf8>", 4),
            (ColumnType::list_of(ColumnType::decimal(12, 2)), "list<decimal128(12,2)>", 4),
            (ColumnType::list_of(ColumnType::of(abi::TIMESTAMP)).with_zone(), "list<timestamp_tz>", 4),
        ] {
            assert_eq!((t.to_string().as_str(), t.width()), (name, width));
            assert_eq!(ColumnType::parse(name), Some(t));
        }
        assert_eq!(ColumnType::list_of(text).element(), text);
        for name in ["", "u8", "list<list<i8>>", "list<u8>", "decimal128(12)", "decimal128(a,2)"] {
            assert_eq!(ColumnType::parse(name), None, "{name}");
        }
    }
}
