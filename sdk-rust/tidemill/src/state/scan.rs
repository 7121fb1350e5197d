use super::map::{Inner, Map};
use super::{bytes_of, grow, Common};
use crate::frame::Section;
use crate::row::Row;
use std::cmp::Ordering;
use tidemill_sys::abi;

/// An entry of a map.
pub(super) type Pair<K, V> = (<K as Row>::View<'static>, <V as Row>::View<'static>);

/// Which entries a scan has, and in which order.
pub(super) struct Bounds<K: Row> {
    pub limits: Option<(K::View<'static>, K::View<'static>)>, // inclusive low, exclusive high
    pub descending: bool,
}

impl<K: Row> Bounds<K> {
    pub const ALL: Bounds<K> = Bounds { limits: None, descending: false };

    fn has(&self, key: &K::View<'_>) -> bool {
        let Some((low, high)) = &self.limits else { return true };
        K::compare(key, low) != Ordering::Less && K::compare(key, high) == Ordering::Less
    }

    fn flags(&self) -> u32 {
        let order = if self.descending { abi::SCAN_DESCENDING } else { 0 };
        order | if self.limits.is_some() { abi::SCAN_LOW | abi::SCAN_HIGH } else { 0 }
    }
}

/// A loop over the entries of a map, as they were when it began. Of a map that did not come with the frame it takes the entries in
/// blocks, so that it holds no more than their texts. Loops nest, each with its own memory.
pub struct Scan<'a, K: Row, V: Row> {
    map: &'a Map<K, V>,
    pairs: Vec<Pair<K, V>>,
    at: usize,
    blocks: Option<Blocks>, // that are still to come
}

/// A scan of the host.
struct Blocks {
    handle: i32,
    buffer: Vec<u128>,
}

/// The first size of a scan's buffer: entries come in blocks of that size.
const SCAN_BYTES: usize = 64 << 10;

impl<'a, K: Row, V: Row> Scan<'a, K, V> {
    #[track_caller]
    pub(super) fn new(map: &'a Map<K, V>, bounds: Bounds<K>) -> Self {
        let inner = map.inner();
        let key = inner.common.key();
        let mut scan = Scan { map, pairs: inner.idle.pop().unwrap_or_default(), at: 0, blocks: None };
        let cell = inner.cells[key];
        if cell.ask && !cell.cleared {
            scan.blocks = Some(open(inner, &bounds));
        } else {
            collect(inner, key, &bounds, &mut scan.pairs);
        }
        scan
    }

    /// Takes the next block of entries.
    fn next_block(&mut self) {
        let inner = self.map.inner();
        let Some(blocks) = &mut self.blocks else { return };
        self.pairs.clear();
        self.at = 0;
        let n = loop {
            match inner.common.core.host.scan_next(blocks.handle, bytes_of(&mut blocks.buffer)) {
                n if n < 0 => grow(&mut blocks.buffer, n.unsigned_abs() as usize),
                n => break n as usize,
            }
        };
        let block = Section::block(&bytes_of(&mut blocks.buffer)[..n]);
        let rows = block.u32(0) as usize;
        if rows == 0 {
            inner.idle_buffers.extend(self.blocks.take().map(|b| b.buffer));
            return;
        }
        inner.common.columns.clear();
        block.columns(&mut inner.common.columns, abi::BLOCK_SIZE, block.u32(8) as usize);
        inner.decode(&mut self.pairs, rows);
        keep(inner, &mut self.pairs);
    }
}

/// Begins a scan of the host, which gets to know the frame's changes first.
fn open<K: Row, V: Row>(inner: &mut Inner<K, V>, bounds: &Bounds<K>) -> Blocks {
    let core = inner.common.core.clone();
    Common::apply(&core, inner);
    let id = inner.common.id;
    let limits = match &bounds.limits {
        Some((low, high)) => inner.bounds_block(low, high),
        None => &[],
    };
    let handle = core.host.scan_open(id, core.key.get(), limits, bounds.flags());
    let mut buffer = inner.idle_buffers.pop().unwrap_or_default();
    if buffer.is_empty() {
        grow(&mut buffer, SCAN_BYTES);
    }
    Blocks { handle, buffer }
}

/// Collects the entries of a map that is here: what came with the frame, with the frame's changes on top.
fn collect<K: Row, V: Row>(inner: &Inner<K, V>, key: usize, bounds: &Bounds<K>, to: &mut Vec<Pair<K, V>>) {
    to.clear();
    let cell = inner.cells[key];
    let mut i = cell.first as usize;
    while i > 0 {
        let e = &inner.entries[i];
        if let Some(value) = e.value.as_ref().filter(|_| bounds.has(&e.key)) {
            to.push((K::copy(&e.key), V::copy(value)));
        }
        i = e.next as usize;
    }
    if !cell.cleared {
        for (k, v) in &inner.base[cell.from as usize..cell.to as usize] {
            if bounds.has(k) && (cell.first == 0 || !inner.has_entry(key, k)) {
                to.push((K::copy(k), V::copy(v)));
            }
        }
    }
    to.sort_unstable_by(|a, b| K::compare(&a.0, &b.0));
    if bounds.descending {
        to.reverse();
    }
}

/// Copies the texts of pairs out of the buffer, so that they stay valid until the handler returns.
fn keep<K: Row, V: Row>(inner: &Inner<K, V>, pairs: &mut [Pair<K, V>]) {
    let core = &inner.common.core;
    let mut held = 0;
    for (key, value) in pairs {
        held += K::text_bytes(key) + V::text_bytes(value);
        // SAFETY: a scan does not outlive the handler, and so neither the arena's content.
        unsafe {
            *key = K::keep(K::copy(key), &core.arena);
            *value = V::keep(V::copy(value), &core.arena);
        }
    }
    core.held(held);
}

impl<'a, K: Row, V: Row> Iterator for Scan<'a, K, V> {
    type Item = (K::View<'a>, V::View<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.pairs.len() {
            self.next_block();
        }
        let (key, value) = self.pairs.get(self.at)?;
        self.at += 1;
        Some((K::copy(key), V::copy(value)))
    }
}

impl<K: Row, V: Row> Drop for Scan<'_, K, V> {
    fn drop(&mut self) {
        let inner = self.map.inner();
        self.pairs.clear(); // of a loop that was left early there are some
        inner.idle.push(std::mem::take(&mut self.pairs));
        if let Some(blocks) = self.blocks.take() {
            inner.common.core.host.scan_next(blocks.handle, &mut []); // ends the scan: few may be open at once
            inner.idle_buffers.push(blocks.buffer);
        }
    }
}
