//! Reads answers and rows blocks as the host does, by code of its own. It panics where the bytes break the contract: that is an error
//! of the SDK, no operator's.

use super::store::Values;
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
    pub fn columns(&self, nodes: usize, types: &[abi::Type], n: usize) -> Vec<Vec<Decoded>> {
        let mut rows = vec![Vec::new(); n];
        for (i, t) in types.iter().enumerate() {
            let node = nodes + i * abi::NODE_SIZE as usize;
            if self.u16(node) != usize::from(t.0) || self.u32(node + 4) != n {
                broken(format!(
                    "column {i} is of type {} with {} rows, want {} with {n}",
                    self.u16(node),
                    self.u32(node + 4),
                    t.0
                ));
            }
            let passed = match self.u16(node + 2) as u32 {
                abi::NODE_INPUT => Some(Decoded::Input(self.u32(node + 32))),
                abi::NODE_KEY => Some(Decoded::Key(self.u32(node + 32))),
                _ => None,
            };
            for (r, row) in rows.iter_mut().enumerate() {
                row.push(passed.clone().unwrap_or_else(|| Decoded::Value(self.value(node, *t, r))));
            }
            let nulls = rows.iter().filter(|row| matches!(row[i], Decoded::Value(Datum::Null))).count();
            if passed.is_none() && nulls != self.u32(node + 8) {
                broken(format!("column {i} counts {} nulls and has {nulls}", self.u32(node + 8)));
            }
        }
        rows
    }

    /// Rows from columns of which none is passed through.
    pub fn rows(&self, nodes: usize, types: &[abi::Type], n: usize) -> Vec<Values> {
        let value = |v| match v {
            Decoded::Value(v) => v,
            _ => broken("a column of a state or a key is passed through".into()),
        };
        self.columns(nodes, types, n).into_iter().map(|row| row.into_iter().map(value).collect()).collect()
    }

    fn value(&self, node: usize, t: abi::Type, r: usize) -> Datum {
        let span = |field: usize| self.bytes(self.u32(node + field), self.u32(node + field + 4));
        let (valid, offsets, data) = (span(16), Decoder(span(24)), Decoder(span(32)));
        if !valid.is_empty() && valid[r / 8] >> (r % 8) & 1 == 0 {
            return Datum::Null;
        }
        let text = || {
            let (from, to) = (offsets.u32(4 * r), offsets.u32(4 * r + 4));
            data.bytes(from, to - from).to_vec()
        };
        match t {
            abi::BOOL => Datum::Bool(data.0[r / 8] >> (r % 8) & 1 != 0),
            abi::UTF8 => Datum::Text(String::from_utf8(text()).unwrap_or_else(|e| broken(e.to_string()))),
            abi::BINARY => Datum::Bytes(text()),
            abi::I8 => Datum::Int((data.0[r] as i8).into()),
            abi::I16 => Datum::Int((data.u16(2 * r) as i16).into()),
            abi::I32 | abi::DATE32 => Datum::Int((data.u32(4 * r) as i32).into()),
            abi::F32 => Datum::Float(f32::from_bits(data.u32(4 * r) as u32).into()),
            abi::F64 => Datum::Float(f64::from_bits(data.i64(8 * r) as u64)),
            _ => Datum::Int(data.i64(8 * r)),
        }
    }
}

/// Reads a rows block.
pub fn block(bytes: &[u8], types: &[abi::Type]) -> Vec<Values> {
    let d = Decoder(bytes);
    if d.u32(4) != types.len() || d.u32(12) > bytes.len() {
        broken(format!("a block of {} columns and {} bytes", d.u32(4), d.u32(12)));
    }
    d.rows(abi::BLOCK_SIZE as usize, types, d.u32(0))
}
