//! JSON as the contract needs it: small values, read once when an operator is opened. Whole numbers that fit an `i64` stay whole.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A value of JSON. Members of an object keep their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number without fraction or exponent that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member of an object as a `T`, whose default stands for an absent one; `None` where it is of another type.
    pub fn field<T: Decode + Default>(&self, name: &str) -> Option<T> {
        let Value::Object(members) = self else { return None };
        match members.iter().find(|(n, _)| n == name) {
            None | Some((_, Value::Null)) => Some(T::default()),
            Some((_, value)) => T::decode(value),
        }
    }
}

/// A type that is read from JSON. Fields that it does not know are ignored.
pub trait Decode: Sized {
    /// The value as a `Self`, or `None` where it is of another type.
    fn decode(from: &Value) -> Option<Self>;
}

/// A type that is written as JSON.
pub trait Encode {
    /// Appends the value.
    fn encode(&self, to: &mut String);
    /// Whether the value is left out where it is optional.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Writes an object member by member.
pub struct Object<'a> {
    to: &'a mut String,
    members: usize,
}

impl<'a> Object<'a> {
    /// Begins an object.
    pub fn begin(to: &'a mut String) -> Self {
        to.push('{');
        Object { to, members: 0 }
    }

    /// Adds a member.
    pub fn field(&mut self, name: &str, value: &impl Encode) {
        if self.members > 0 {
            self.to.push(',');
        }
        self.members += 1;
        name.encode(self.to);
        self.to.push(':');
        value.encode(self.to);
    }

    /// Adds a member unless its value is empty: zero, false, no text, no elements, none.
    pub fn optional(&mut self, name: &str, value: &impl Encode) {
        if !value.is_empty() {
            self.field(name, value);
        }
    }

    /// Ends the object.
    pub fn end(self) {
        self.to.push('}');
    }
}

impl Encode for str {
    fn encode(&self, to: &mut String) {
        to.push('"');
        for c in self.chars() {
            match c {
                '"' | '\\' => to.extend(['\\', c]),
                '\0'..='\x1f' => to.push_str(&format!("\\u{:04x}", c as u32)),
                _ => to.push(c),
            }
        }
        to.push('"');
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Encode for String {
    fn encode(&self, to: &mut String) {
        self.as_str().encode(to)
    }
    fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }
}

macro_rules! plain {
    ($($t:ty = $variant:pat => $value:expr, $empty:expr;)*) => {$(
        impl Encode for $t {
            fn encode(&self, to: &mut String) {
                to.push_str(&self.to_string());
            }
            fn is_empty(&self) -> bool {
                *self == $empty
            }
        }
        impl Decode for $t {
            fn decode(from: &Value) -> Option<Self> {
                match *from {
                    $variant => $value,
                    _ => None,
                }
            }
        }
    )*};
}

plain! {
    bool = Value::Bool(v) => Some(v), false;
    i64 = Value::Int(v) => Some(v), 0;
    u32 = Value::Int(v) => u32::try_from(v).ok(), 0;
}

impl Decode for String {
    fn decode(from: &Value) -> Option<Self> {
        match from {
            Value::String(s) => Some(s.clone()),
            _ => None,
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, to: &mut String) {
        to.push('[');
        for (i, element) in self.iter().enumerate() {
            if i > 0 {
                to.push(',');
            }
            element.encode(to);
        }
        to.push(']');
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(from: &Value) -> Option<Self> {
        match from {
            Value::Array(elements) => elements.iter().map(T::decode).collect(),
            _ => None,
        }
    }
}

impl Encode for Vec<(String, Value)> {
    fn encode(&self, to: &mut String) {
        let mut object = Object::begin(to);
        for (name, value) in self {
            object.field(name, value);
        }
        object.end();
    }
    fn is_empty(&self) -> bool {
        self.is_empty()
    }
}

impl Decode for Vec<(String, Value)> {
    fn decode(from: &Value) -> Option<Self> {
        match from {
            Value::Object(members) => Some(members.clone()),
            _ => None,
        }
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, to: &mut String) {
        match self {
            Some(value) => value.encode(to),
            None => to.push_str("null"),
        }
    }
    fn is_empty(&self) -> bool {
        self.is_none()
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(from: &Value) -> Option<Self> {
        T::decode(from).map(Some)
    }
}

impl Encode for Value {
    fn encode(&self, to: &mut String) {
        match self {
            Value::Null => to.push_str("null"),
            Value::Bool(v) => v.encode(to),
            Value::Int(v) => v.encode(to),
            // Debug keeps the point of a whole float, so that it stays one; JSON has no other numbers.
            Value::Float(v) if v.is_finite() => to.push_str(&format!("{v:?}")),
            Value::Float(_) => to.push_str("null"),
            Value::String(v) => v.encode(to),
            Value::Array(v) => v.encode(to),
            Value::Object(v) => v.encode(to),
        }
    }
    fn is_empty(&self) -> bool {
        *self == Value::Null
    }
}

impl Decode for Value {
    fn decode(from: &Value) -> Option<Self> {
        Some(from.clone())
    }
}

/// A text is no JSON: where, in bytes, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    at: usize,
    why: &'static str,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JSON, byte {}: {}", self.at, self.why)
    }
}

/// Reads one value.
pub fn parse(text: &[u8]) -> Result<Value, SyntaxError> {
    let mut p = Parser { text, at: 0, depth: 0 };
    let value = p.value()?;
    p.space();
    if p.at < text.len() {
        return Err(p.error("there is something behind the value"));
    }
    Ok(value)
}

/// What one value may be nested in: the contract's JSON has far fewer levels, and the parser recurses.
const DEPTH_MAX: usize = 64;

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    depth: usize,
}

impl Parser<'_> {
    fn error(&self, why: &'static str) -> SyntaxError {
        SyntaxError { at: self.at, why }
    }

    fn space(&mut self) {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space, which is taken where it is the one.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, SyntaxError> {
        if !self.text[self.at..].starts_with(word.as_bytes()) {
            return Err(self.error("a value is expected"));
        }
        self.at += word.len();
        Ok(value)
    }

    fn value(&mut self) -> Result<Value, SyntaxError> {
        self.space();
        match self.text.get(self.at) {
            Some(b'{') => self.nested(Self::object),
            Some(b'[') => self.nested(Self::array),
            Some(b'"') => self.string().map(Value::String),
            Some(b't') => self.word("true", Value::Bool(true)),
            Some(b'f') => self.word("false", Value::Bool(false)),
            Some(b'n') => self.word("null", Value::Null),
            _ => self.number(),
        }
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Value, SyntaxError>) -> Result<Value, SyntaxError> {
        if self.depth == DEPTH_MAX {
            return Err(self.error("it is nested too deep"));
        }
        self.depth += 1;
        self.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn object(&mut self) -> Result<Value, SyntaxError> {
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(Value::Object(members));
        }
        loop {
            self.space();
            let name = self.string()?;
            if !self.take(b':') {
                return Err(self.error("a colon is expected"));
            }
            members.push((name, self.value()?));
            if self.take(b'}') {
                return Ok(Value::Object(members));
            }
            if !self.take(b',') {
                return Err(self.error("a comma is expected"));
            }
        }
    }

    fn array(&mut self) -> Result<Value, SyntaxError> {
        let mut elements = Vec::new();
        if self.take(b']') {
            return Ok(Value::Array(elements));
        }
        loop {
            elements.push(self.value()?);
            if self.take(b']') {
                return Ok(Value::Array(elements));
            }
            if !self.take(b',') {
                return Err(self.error("a comma is expected"));
            }
        }
    }

    fn number(&mut self) -> Result<Value, SyntaxError> {
        let start = self.at;
        while matches!(self.text.get(self.at), Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')) {
            self.at += 1;
        }
        let text = core::str::from_utf8(&self.text[start..self.at]).unwrap_or("");
        if let Ok(whole) = text.parse::<i64>() {
            return Ok(Value::Int(whole));
        }
        text.parse::<f64>().map(Value::Float).map_err(|_| self.error("a value is expected"))
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        if !self.take(b'"') {
            return Err(self.error("a string is expected"));
        }
        let mut out = Vec::new();
        loop {
            let Some(&byte) = self.text.get(self.at) else { return Err(self.error("the string has no end")) };
            self.at += 1;
            match byte {
                b'"' => return String::from_utf8(out).map_err(|_| self.error("the string is no UTF-8")),
                b'\\' => {
                    let c = self.escape()?;
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
                _ => out.push(byte),
            }
        }
    }

    fn escape(&mut self) -> Result<char, SyntaxError> {
        let byte = self.text.get(self.at).copied();
        self.at += 1;
        Ok(match byte {
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'u') => self.unicode()?,
            _ => return Err(self.error("there is no such escape")),
        })
    }

    /// The character of `\uXXXX`, or of two of them that are a surrogate pair.
    fn unicode(&mut self) -> Result<char, SyntaxError> {
        let high = self.hex()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        if !self.text[self.at..].starts_with(b"\\u") {
            return Ok(char::REPLACEMENT_CHARACTER);
        }
        self.at += 2;
        let low = self.hex()?;
        let code = 0x10000 + ((high - 0xd800) << 10) + (low.wrapping_sub(0xdc00) & 0x3ff);
        Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self) -> Result<u32, SyntaxError> {
        let digits = self.text.get(self.at..self.at + 4).and_then(|d| core::str::from_utf8(d).ok());
        let code = digits.and_then(|d| u32::from_str_radix(d, 16).ok());
        self.at += 4;
        code.ok_or_else(|| self.error("four hexadecimal digits are expected"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn values_go_both_ways() {
        for text in [
            "null",
            "true",
            "false",
            "0",
            "-9223372036854775808",
            "9223372036854775807",
            "1.5",
            "-0.25",
            "\"\"",
            "[]",
            "{}",
            "[1,[2],{\"a\":null}]",
            "{\"b\":1,\"a\":\"ü😀\\\"\\\\\"}",
            "\"\\u0001\"",
        ] {
            let value = parse(text.as_bytes()).unwrap();
            let mut back = String::new();
            value.encode(&mut back);
            assert_eq!(back, text);
        }
    }

    #[test]
    fn escapes_and_numbers_are_read() {
        for (text, want) in [
            (r#" "a\/\n\t\u00fc\ud83d\ude00" "#, Value::String("a/\n\tü😀".into())),
            (r#""\ud83dx""#, Value::String("\u{fffd}x".into())),
            ("1e3", Value::Float(1000.0)),
            ("9223372036854775808", Value::Float(9223372036854775808.0)),
            ("[ 1 , 2 ]", Value::Array(vec![Value::Int(1), Value::Int(2)])),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        let deep = "[".repeat(1000);
        for text in ["", "tru", "[1", "{\"a\"}", "{\"a\":}", "{1:2}", "\"a", "\"\\x\"", "\"\\u12\"", "1 2", "--1", "[1,]", &deep]
        {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn members_have_defaults_and_types() {
        let value = parse(br#"{"n": 7, "list": ["a"], "none": null}"#).unwrap();
        assert_eq!(value.field::<i64>("n"), Some(7));
        assert_eq!(value.field::<i64>("absent"), Some(0));
        assert_eq!(value.field::<i64>("none"), Some(0));
        assert_eq!(value.field::<bool>("n"), None);
        assert_eq!(value.field::<Vec<String>>("list"), Some(vec!["a".into()]));
        assert_eq!(parse(b"1").unwrap().field::<i64>("n"), None);
    }
}
