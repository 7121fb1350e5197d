use crate::{Date, Decimal, Timestamp};

/// A value of a column in a test: whole numbers, days and microseconds are all `Int`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// The number without its point, and how many of its digits stand behind it: 19.90 is 1990 and 2.
    Decimal {
        unscaled: i128,
        scale: u32,
    },
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Datum>),
}

macro_rules! from {
    ($($t:ty, |$v:ident| $datum:expr;)*) => {$(
        impl From<$t> for Datum {
            fn from($v: $t) -> Datum {
                $datum
            }
        }
    )*};
}

from! {
    bool, |v| Datum::Bool(v);
    i8, |v| Datum::Int(v.into());
    i16, |v| Datum::Int(v.into());
    i32, |v| Datum::Int(v.into());
    i64, |v| Datum::Int(v);
    f32, |v| Datum::Float(v.into());
    f64, |v| Datum::Float(v);
    Timestamp, |v| Datum::Int(v.0);
    Date, |v| Datum::Int(v.0.into());
    &str, |v| Datum::Text(v.into());
    String, |v| Datum::Text(v);
    &[u8], |v| Datum::Bytes(v.into());
}

impl<const P: u32, const S: u32> From<Decimal<P, S>> for Datum {
    fn from(v: Decimal<P, S>) -> Datum {
        Datum::Decimal { unscaled: v.unscaled(), scale: S }
    }
}

impl<T: Into<Datum>> From<Vec<T>> for Datum {
    fn from(list: Vec<T>) -> Datum {
        Datum::List(list.into_iter().map(Into::into).collect())
    }
}
