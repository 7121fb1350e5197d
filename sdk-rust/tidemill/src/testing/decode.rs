//! Reads answers and rows blocks as the host does, by code of its own. It panics where the bytes break the contract: that is an error
//! of the SDK, no operator's.

use super::encode::nodes;
use super::store::Values;
use crate::column_type::ColumnType;
use crate::testing_value::Datum;
use tidemill_sys::abi;

/// What such a panic carries.
pub struct Broken(pub String);

pub fn broken(what: String) -> ! {
    std::panic::panic_any(Broken(what))
}

#[derive(Clone, Copy)]
pub struct Decoder<'a>(pub &'a [u8]);

/// An entry of an answer's section table.
pub struct SectionAt {
    pub id: abi::SectionID,
    pub index: usize,
    pub at: usize,
}

/// A value of a column, or what stands for one that the host fills in.
#[derive(Clone)]
pub enum Decoded {
    Value(Datum),
    Input(usize),
    Key(usize),
}

impl Decoder<'_> {
    pub fn bytes(&self, at: usize, n: usize) -> &[u8] {
        self.0.get(at..at + n).unwrap_or_else(|| broken(format!("{n} bytes at {at} of {}", self.0.len())))
    }

    pub fn u16(&self, at: usize) -> usize {
        u16::from_le_bytes(self.bytes(at, 2).try_into().expect("two bytes")).into()
    }

    pub fn u32(&self, at: usize) -> usize {
        u32::from_le_bytes(self.bytes(at, 4).try_into().expect("four bytes")) as usize
    }

    pub fn i64(&self, at: usize) -> i64 {
        i64::from_le_bytes(self.bytes(at, 8).try_into().expect("eight bytes"))
    }

    /// The sections of an answer to a frame.
    pub fn sections(&self, kind: abi::Kind, sequence: u64) -> Vec<SectionAt> {
        let known =
            self.bytes(0, 4) == abi::MAGIC.as_bytes() && self.u16(4) == abi::VERSION as usize && self.u32(8) == self.0.len();
        if !known || self.u16(6) != usize::from(kind.0) || self.i64(16) as u64 != sequence || self.u32(28) != 0 {
            broken("it is not the answer to the frame".into());
        }
        let entries = (0..self.u32(12)).map(|i| (abi::HEADER_SIZE + i as u32 * abi::SECTION_ENTRY_SIZE) as usize);
        let sections = entries.map(|e| {
            let at = self.u32(e + 8);
            if at % abi::BUFFER_ALIGN as usize != 0 {
                broken(format!("a section at {at}"));
            }
            self.bytes(at, self.u32(e + 12));
            SectionAt { id: abi::SectionID(self.u16(e) as u16), index: self.u16(e + 2), at }
        });
        sections.collect()
    }

    /// Where the array of n elements is whose offset stands at a field.
    pub fn array(&self, field: usize, n: usize, width: usize) -> usize {
        if n == 0 {
            return 0;
        }
        let at = self.u32(field);
        if at == 0 || at % width != 0 {
            broken(format!("an array at {at}"));
        }
        self.bytes(at, n * width);
        at
    }

    pub fn u32s(&self, field: usize, n: usize) -> Vec<usize> {
        let at = self.array(field, n, 4);
        (0..n).map(|i| self.u32(at + 4 * i)).collect()
    }

    /// Rows from columns of the given types.
    pub fn columns(&self, mut node: usize, types: &[ColumnType], n: usize) -> Vec<Vec<Decoded>> {
        let mut rows = vec![Vec::new(); n];
        for t in types {
            let passed = match self.u16(node + 2) as u32 {
                abi::NODE_INPUT => Some(Decoded::Input(self.u32(node + 32))),
                abi::NODE_KEY => Some(Decoded::Key(self.u32(node + 32))),
                _ => None,
            };
            match passed {
                Some(passed) => {
                    self.head(node, *t, 0, n);
                    rows.iter_mut().for_each(|row| row.push(passed.clone()));
                    node += abi::NODE_SIZE as usize;
                }
                None => {
                    let values = self.column(node, *t, n);
                    rows.iter_mut().zip(values).for_each(|(row, v)| row.push(Decoded::Value(v)));
                    node += t.nodes() * abi::NODE_SIZE as usize;
                }
            }
        }
        rows
    }

    /// Checks what a node says of itself.
    fn head(&self, node: usize, t: ColumnType, children: usize, n: usize) {
        let got = [self.u16(node), self.u32(node + 4), self.u32(node + 12)];
        let want = [t.number().0.into(), n, children];
        if got != want {
            broken(format!("a node of type, rows and children {got:?}, want {want:?}"));
        }
    }

    /// The values of a column, which is not passed through.
    fn column(&self, node: usize, t: ColumnType, n: usize) -> Values {
        self.head(node, t, t.nodes() - 1, n);
        let values: Values = if t.list {
            let end = if n == 0 { 0 } else { self.span(node + 24).u32(4 * n) };
            let elements = self.column(node + abi::NODE_SIZE as usize, t.element(), end);
            if elements.contains(&Datum::Null) || self.u32(node + 36) != 0 {
                broken("a list with null elements or values of its own".into());
            }
            (0..n).map(|r| self.list(node, r, &elements)).collect()
        } else {
            (0..n).map(|r| self.value(node, t, r)).collect()
        };
        let nulls = values.iter().filter(|v| **v == Datum::Null).count();
        if nulls != self.u32(node + 8) {
            broken(format!("a column counts {} nulls and has {nulls}", self.u32(node + 8)));
        }
        values
    }

    /// Rows from columns of which none is passed through.
    pub fn rows(&self, nodes: usize, types: &[ColumnType], n: usize) -> Vec<Values> {
        let value = |v| match v {
            Decoded::Value(v) => v,
            _ => broken("a column of a state or a key is passed through".into()),
        };
        self.columns(nodes, types, n).into_iter().map(|row| row.into_iter().map(value).collect()).collect()
    }

    /// The buffer that a field names.
    fn span(&self, field: usize) -> Decoder<'_> {
        Decoder(self.bytes(self.u32(field), self.u32(field + 4)))
    }

    fn is_null(&self, node: usize, r: usize) -> bool {
        let valid = self.span(node + 16).0;
        !valid.is_empty() && valid[r / 8] >> (r % 8) & 1 == 0
    }

    fn list(&self, node: usize, r: usize, elements: &[Datum]) -> Datum {
        let offsets = self.span(node + 24);
        let (from, to) = (offsets.u32(4 * r), offsets.u32(4 * r + 4));
        if from > to || to > elements.len() {
            broken(format!("elements {from} to {to} of {}", elements.len()));
        }
        if self.is_null(node, r) {
            return Datum::Null;
        }
        Datum::List(elements[from..to].to_vec())
    }

    fn value(&self, node: usize, t: ColumnType, r: usize) -> Datum {
        let (offsets, data) = (self.span(node + 24), self.span(node + 32));
        if self.is_null(node, r) {
            return Datum::Null;
        }
        let text = || {
            let (from, to) = (offsets.u32(4 * r), offsets.u32(4 * r + 4));
            data.bytes(from, to - from).to_vec()
        };
        match t.base {
            abi::BOOL => Datum::Bool(data.0[r / 8] >> (r % 8) & 1 != 0),
            abi::UTF8 => Datum::Text(String::from_utf8(text()).unwrap_or_else(|e| broken(e.to_string()))),
            abi::BINARY => Datum::Bytes(text()),
            abi::I8 => Datum::Int((data.0[r] as i8).into()),
            abi::I16 => Datum::Int((data.u16(2 * r) as i16).into()),
            abi::I32 | abi::DATE32 => Datum::Int((data.u32(4 * r) as i32).into()),
            abi::F32 => Datum::Float(f32::from_bits(data.u32(4 * r) as u32).into()),
            abi::F64 => Datum::Float(f64::from_bits(data.i64(8 * r) as u64)),
            abi::DECIMAL128 => {
                let unscaled = i128::from_le_bytes(data.bytes(16 * r, 16).try_into().expect("sixteen bytes"));
                if !t.has_room(unscaled) {
                    broken(format!("{unscaled} in a column of type {t}"));
                }
                Datum::Decimal { unscaled, scale: t.scale() }
            }
            _ => Datum::Int(data.i64(8 * r)),
        }
    }
}

/// Reads a rows block.
pub fn block(bytes: &[u8], types: &[ColumnType]) -> Vec<Values> {
    let d = Decoder(bytes);
    if d.u32(4) != types.len() || d.u32(8) != nodes(types) || d.u32(12) > bytes.len() {
        broken(format!("a block of {} columns, {} nodes and {} bytes", d.u32(4), d.u32(8), d.u32(12)));
    }
    d.rows(abi::BLOCK_SIZE as usize, types, d.u32(0))
}
