//! Writes frames and rows blocks as the host does, by code of its own.

use super::store::Values;
use crate::buffer::{Buffer, ALIGN};
use crate::column_type::ColumnType;
use crate::testing_value::Datum;
use tidemill_sys::abi;

/// Builds a frame, or a rows block, section by section.
pub struct Encoder {
    pub bytes: Vec<u8>,
    sections: usize,
    begin: usize,
}

impl Encoder {
    /// A frame with room for so many sections.
    pub fn frame(kind: abi::Kind, sequence: u64, sections: usize) -> Encoder {
        let mut bytes = abi::MAGIC.as_bytes().to_vec();
        bytes.extend((abi::VERSION as u16).to_le_bytes());
        bytes.extend(kind.0.to_le_bytes());
        bytes.extend([0; 8]);
        bytes.extend(sequence.to_le_bytes());
        bytes.resize(abi::HEADER_SIZE as usize + sections * abi::SECTION_ENTRY_SIZE as usize, 0);
        Encoder { bytes, sections: 0, begin: 0 }
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
    }

    pub fn put(&mut self, at: usize, value: &[u8]) {
        self.bytes[at..at + value.len()].copy_from_slice(value);
    }

    pub fn put_u32(&mut self, at: usize, value: u32) {
        self.put(at, &value.to_le_bytes());
    }

    /// Begins a section with a head of numbers; returns where the head is.
    pub fn open(&mut self, id: abi::SectionID, index: usize, size: u32, nodes: usize, head: &[usize]) -> usize {
        self.pad();
        self.begin = self.bytes.len();
        self.bytes.resize(self.begin + size as usize + nodes * abi::NODE_SIZE as usize, 0);
        for (i, n) in head.iter().enumerate() {
            self.put_u32(self.begin + 4 * i, *n as u32);
        }
        let entry = abi::HEADER_SIZE as usize + self.sections * abi::SECTION_ENTRY_SIZE as usize;
        self.put(entry, &id.0.to_le_bytes());
        self.put(entry + 2, &(index as u16).to_le_bytes());
        self.put_u32(entry + 8, self.begin as u32);
        self.sections += 1;
        self.begin
    }

    pub fn close(&mut self) {
        let entry = abi::HEADER_SIZE as usize + (self.sections - 1) * abi::SECTION_ENTRY_SIZE as usize;
        self.put_u32(entry + 12, (self.bytes.len() - self.begin) as u32);
    }

    /// The frame in memory that is aligned as the contract wants it.
    pub fn finish(mut self) -> Buffer {
        self.pad();
        self.put_u32(8, self.bytes.len() as u32);
        self.put_u32(12, self.sections as u32);
        let mut out = Buffer::new();
        out.push(&self.bytes);
        out
    }

    /// Adds bytes and writes their offset at a field.
    pub fn array(&mut self, field: usize, data: &[u8]) {
        if !data.is_empty() {
            self.pad();
            self.put_u32(field, self.bytes.len() as u32);
            self.bytes.extend_from_slice(data);
        }
    }

    fn span(&mut self, field: usize, data: &[u8]) {
        self.array(field, data);
        self.put_u32(field + 4, data.len() as u32);
    }

    /// Writes rows as columns, whose nodes begin at an offset.
    pub fn columns(&mut self, mut node: usize, types: &[ColumnType], rows: &[Values]) {
        for (i, t) in types.iter().enumerate() {
            self.column(node, *t, rows.iter().map(|row| &row[i]).collect());
            node += t.nodes() * abi::NODE_SIZE as usize;
        }
    }

    fn column(&mut self, node: usize, t: ColumnType, rows: Vec<&Datum>) {
        self.put(node, &t.number().0.to_le_bytes());
        self.put_u32(node + 4, rows.len() as u32);
        let (mut valid, mut bits) = (vec![0; rows.len().div_ceil(8)], vec![0; rows.len().div_ceil(8)]);
        let (mut data, mut elements, mut offsets, mut nulls) = (Vec::new(), Vec::new(), vec![0u8; 4], 0);
        for (r, v) in rows.iter().enumerate() {
            if **v == Datum::Null {
                nulls += 1;
            } else {
                valid[r / 8] |= 1 << (r % 8);
            }
            match v {
                Datum::Text(v) => data.extend(v.as_bytes()),
                Datum::Bytes(v) => data.extend(v),
                Datum::Bool(v) => bits[r / 8] |= u8::from(*v) << (r % 8),
                Datum::List(v) => elements.extend(v),
                v if !t.list && ![abi::BOOL, abi::UTF8, abi::BINARY].contains(&t.base) => number(&mut data, t, v),
                _ => {}
            }
            let end = if t.list { elements.len() } else { data.len() };
            offsets.extend((end as u32).to_le_bytes());
        }
        if nulls > 0 {
            self.put_u32(node + 8, nulls);
            self.span(node + 16, &valid);
        }
        if !rows.is_empty() && [abi::LIST, abi::UTF8, abi::BINARY].contains(&t.number()) {
            self.span(node + 24, &offsets);
        }
        if t.list {
            self.put_u32(node + 12, 1);
            self.column(node + abi::NODE_SIZE as usize, t.element(), elements);
        } else {
            self.span(node + 32, if t.base == abi::BOOL { &bits } else { &data });
        }
    }
}

/// The nodes that columns of those types take.
pub fn nodes(types: &[ColumnType]) -> usize {
    types.iter().map(|t| t.nodes()).sum()
}

fn number(data: &mut Vec<u8>, t: ColumnType, v: &Datum) {
    let n = match (v, t.base) {
        (Datum::Int(n), _) => i128::from(*n),
        (Datum::Decimal { unscaled, .. }, _) => *unscaled,
        (Datum::Float(f), abi::F32) => i128::from((*f as f32).to_bits()),
        (Datum::Float(f), _) => i128::from(f.to_bits()),
        _ => 0x5a5a5a5a5a5a5a5a, // what lies under a null is nobody's business, and not always zero
    };
    data.extend(&n.to_le_bytes()[..t.width()]);
}

/// Makes a rows block.
pub fn block(types: &[ColumnType], rows: &[Values]) -> Vec<u8> {
    let nodes = nodes(types);
    let mut e = Encoder { bytes: vec![0; abi::BLOCK_SIZE as usize + nodes * abi::NODE_SIZE as usize], sections: 0, begin: 0 };
    e.columns(abi::BLOCK_SIZE as usize, types, rows);
    e.pad();
    for (i, n) in [rows.len(), types.len(), nodes, e.bytes.len()].into_iter().enumerate() {
        e.put_u32(4 * i, n as u32);
    }
    e.bytes
}
