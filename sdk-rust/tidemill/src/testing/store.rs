//! The state and the timers of all keys.

use super::decode::broken;
use crate::column_type::ColumnType;
use crate::testing_value::Datum;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use tidemill_sys::abi;

pub type Values = Vec<Datum>;

/// A key as the store has it: equal keys are equal bytes.
pub type KeyName = Vec<u8>;

#[derive(Default)]
pub struct Store {
    pub keys: BTreeMap<KeyName, Values>,
    pub states: Vec<StateStore>,
    pub timers: BTreeMap<KeyName, Vec<Timer>>,
}

/// One state. A value has one row, a list its elements, a map its entries in the order of their keys.
#[derive(Clone)]
pub struct StateStore {
    pub name: String,
    pub kind: abi::StateKind,
    pub key_types: Vec<ColumnType>, // of a map
    pub types: Vec<ColumnType>,     // of the values
    pub cells: BTreeMap<KeyName, Vec<Stored>>,
    ttl: Option<i64>, // us
}

/// A row of a cell.
#[derive(Clone)]
pub struct Stored {
    pub row: Values,
    written: i64, // processing time
}

#[derive(Clone, Debug, PartialEq)]
pub struct Timer {
    pub key: KeyName,
    pub name: usize,
    pub domain: u8,
    pub time: i64,
    pub tag: String,
}

pub fn types(schema: &[abi::Field]) -> Vec<ColumnType> {
    let known =
        |f: &abi::Field| ColumnType::parse(&f.r#type).unwrap_or_else(|| broken(format!("type {} of {}", f.r#type, f.name)));
    schema.iter().map(known).collect()
}

impl Store {
    pub fn new(d: &abi::Descriptor) -> Store {
        let states = d.states.iter().map(|bind| StateStore {
            name: bind.name.clone(),
            kind: match bind.kind.as_str() {
                "value" => abi::STATE_VALUE,
                "list" => abi::STATE_LIST,
                _ => abi::STATE_MAP,
            },
            key_types: types(&bind.key),
            types: types(&bind.value),
            cells: BTreeMap::new(),
            ttl: (bind.ttl_ms > 0).then_some(bind.ttl_ms * 1000),
        });
        Store { states: states.collect(), ..Store::default() }
    }

    /// Applies a change of timers, at a moment of the timer's domain.
    pub fn change(&mut self, bind: &abi::BindTimer, t: Timer, op: u32, reached: i64) {
        let list = self.timers.entry(t.key.clone()).or_default();
        list.retain(|old| {
            let named = old.name == t.name && old.domain == t.domain && old.tag == t.tag;
            !match op {
                abi::TIMER_SET | abi::TIMER_DELETE => named && (bind.mode != abi::TIMER_MANY || old.time == t.time),
                abi::TIMER_DELETE_TAG => named,
                abi::TIMER_DELETE_KEY => true,
                _ => broken(format!("timer operation {op}")),
            }
        });
        if op == abi::TIMER_SET && (bind.past != abi::PAST_DROP || t.time > reached) {
            list.push(t);
        }
        list.sort_by(|a, b| (a.time, a.name, &a.tag).cmp(&(b.time, b.name, &b.tag)));
    }

    /// Removes what has expired at a processing time.
    pub fn expire(&mut self, now: i64) {
        for state in &mut self.states {
            let Some(ttl) = state.ttl else { continue };
            state.cells.retain(|_, rows| {
                rows.retain(|stored| stored.written.checked_add(ttl).is_none_or(|end| now < end));
                !rows.is_empty()
            });
        }
    }

    /// Removes a timer that has fired.
    pub fn unset(&mut self, t: &Timer) {
        if let Some(list) = self.timers.get_mut(&t.key) {
            list.retain(|other| other != t);
        }
    }
}

impl StateStore {
    /// The types of a row: of the map key, then of the value.
    pub fn all(&self) -> Vec<ColumnType> {
        [self.key_types.as_slice(), &self.types].concat()
    }

    /// The place of a map key among the rows of a cell.
    pub fn find(&self, rows: &[Stored], key: &[Datum]) -> Result<usize, usize> {
        rows.binary_search_by(|stored| compare(&stored.row[..self.key_types.len()], key))
    }

    /// Applies a change to a cell at a processing time.
    pub fn apply(&mut self, key: &KeyName, op: u32, row: Values, now: i64) {
        let mut rows = self.cells.remove(key).unwrap_or_default();
        let stored = Stored { row, written: now };
        match (op, self.kind) {
            (abi::OP_SET, abi::STATE_VALUE) => rows = vec![stored],
            (abi::OP_APPEND, abi::STATE_LIST) => rows.push(stored),
            (abi::OP_CLEAR, abi::STATE_VALUE | abi::STATE_LIST) | (abi::OP_CLEAR_ALL, abi::STATE_MAP) => rows.clear(),
            (abi::OP_SET | abi::OP_CLEAR, abi::STATE_MAP) => {
                let at = self.find(&rows, &stored.row[..self.key_types.len()]);
                if let Ok(i) = at {
                    rows.remove(i);
                }
                if op == abi::OP_SET {
                    rows.insert(at.unwrap_or_else(|i| i), stored);
                }
            }
            _ => broken(format!("operation {op} on state {}", self.name)),
        }
        if !rows.is_empty() {
            self.cells.insert(key.clone(), rows);
        }
    }
}

/// The order of the host's keys: numbers by value, texts by their bytes, false before true.
pub fn compare(a: &[Datum], b: &[Datum]) -> Ordering {
    for (a, b) in a.iter().zip(b) {
        let order = match (a, b) {
            (Datum::Int(a), Datum::Int(b)) => a.cmp(b),
            (Datum::Text(a), Datum::Text(b)) => a.cmp(b),
            (Datum::Bool(a), Datum::Bool(b)) => a.cmp(b),
            (Datum::Decimal { unscaled: a, .. }, Datum::Decimal { unscaled: b, .. }) => a.cmp(b), // of one type, and so of one scale
            _ => Ordering::Greater,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

pub fn key_name(key: &[Datum]) -> KeyName {
    let mut name = Vec::new();
    for v in key {
        match v {
            Datum::Null => name.push(0),
            Datum::Bool(v) => name.extend([1, u8::from(*v)]),
            Datum::Int(v) => name.extend([[2].as_slice(), &v.to_be_bytes()].concat()),
            Datum::Float(v) => name.extend([[3].as_slice(), &(v + 0.0).to_bits().to_be_bytes()].concat()),
            Datum::Text(v) => name.extend([[4].as_slice(), &v.len().to_be_bytes(), v.as_bytes()].concat()),
            Datum::Bytes(v) => name.extend([[5].as_slice(), &v.len().to_be_bytes(), v].concat()),
            Datum::Decimal { unscaled, .. } => name.extend([[6].as_slice(), &unscaled.to_be_bytes()].concat()),
            Datum::List(_) => broken("a list is part of a key".into()),
        }
    }
    name
}
