//! Parameters of the job.

use crate::part::{Declare, OpenProblem};
use std::time::Duration;
use tidemill_sys::abi;
use tidemill_sys::json::Value;

/// A type that a field marked `#[param]` can have: `bool`, `i8` to `i64`, `f32`, `f64`, `String`, or [`Duration`] in milliseconds.
#[diagnostic::on_unimplemented(
    message = "a parameter cannot be a `{Self}`",
    note = "it is a bool, i8 to i64, f32, f64, String or std::time::Duration"
)]
pub trait Param: Default + Clone {
    /// The name of the type in the contract.
    const TYPE: &'static str;
    /// The value as JSON.
    fn json(&self) -> Value;
    /// The value that the job gives, or why it does not fit.
    fn from_json(value: &Value) -> Result<Self, String>;
}

fn not_a<T>(what: &str) -> Result<T, String> {
    Err(format!("it must be a {}", what.trim_end_matches("_ms")))
}

macro_rules! params {
    ($($t:ty, $name:expr, |$v:ident| $json:expr, $($from:pat => $value:expr),+;)*) => {$(
        impl Param for $t {
            const TYPE: &'static str = $name;
            fn json(&self) -> Value {
                let $v = self.clone();
                $json
            }
            fn from_json(value: &Value) -> Result<Self, String> {
                match value.clone() {
                    $($from => $value,)+
                    _ => not_a(Self::TYPE),
                }
            }
        }
    )*};
}

fn in_range<T: TryFrom<i64>>(v: i64) -> Result<T, String> {
    T::try_from(v).map_err(|_| format!("{v} is out of the range of {}", std::any::type_name::<T>()))
}

params! {
    bool, "bool", |v| Value::Bool(v), Value::Bool(v) => Ok(v);
    i8, "int", |v| Value::Int(v.into()), Value::Int(v) => in_range(v);
    i16, "int", |v| Value::Int(v.into()), Value::Int(v) => in_range(v);
    i32, "int", |v| Value::Int(v.into()), Value::Int(v) => in_range(v);
    i64, "int", |v| Value::Int(v), Value::Int(v) => Ok(v);
    f32, "float", |v| Value::Float(v.into()), Value::Float(v) => Ok(v as f32), Value::Int(v) => Ok(v as f32);
    f64, "float", |v| Value::Float(v), Value::Float(v) => Ok(v), Value::Int(v) => Ok(v as f64);
    String, "string", |v| Value::String(v), Value::String(v) => Ok(v);
    Duration, "duration_ms", |v| Value::Int(v.as_millis() as i64), Value::Int(v) => match u64::try_from(v) {
        Ok(ms) => Ok(Duration::from_millis(ms)),
        Err(_) => Err("it must not be negative".into()),
    };
}

impl Declare<'_> {
    /// The value of a parameter: what the job gives, or the default.
    pub fn param<T: Param>(&mut self, name: &'static str, doc: &'static str, default: Option<T>) -> T {
        self.params.push(abi::Param {
            name: name.into(),
            r#type: T::TYPE.into(),
            default: default.as_ref().map_or(Value::Null, T::json),
            required: default.is_none(),
            doc: doc.into(),
        });
        let Some(given) = self.given else { return default.unwrap_or_default() };
        match given.iter().find(|(n, _)| n == name).map(|(_, v)| T::from_json(v)) {
            Some(Ok(value)) => return value,
            Some(Err(why)) => self.wrong(OpenProblem::param(name, why)),
            None if default.is_none() => self.wrong(OpenProblem::param(name, "it is required")),
            None => {}
        }
        default.unwrap_or_default()
    }

    /// Refuses parameters that no field takes.
    pub(crate) fn check_params(&mut self) {
        let mut unknown: Vec<&str> = self.given.unwrap_or_default().iter().map(|(n, _)| n.as_str()).collect();
        unknown.retain(|n| self.params.iter().all(|p| p.name != *n));
        if let Some(name) = unknown.into_iter().min() {
            self.wrong(OpenProblem::param(name, "the operator has no such parameter"));
        }
    }
}
