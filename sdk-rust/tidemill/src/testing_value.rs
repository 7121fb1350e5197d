use crate::{Date, Timestamp};

/// A value of a column in a test: whole numbers, days and microseconds are all `Int`.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Datum {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
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
