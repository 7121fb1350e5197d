use super::index::Index;
use super::scan::{Bounds, Pair, Scan};
use super::{state_fields, write_columns, Common, CHANGE_BYTES};
use crate::answer::Answer;
use crate::frame::Frame;
use crate::part::{Declaration, Declare, Part, PartRef, State};
use crate::row::{Field, Owned, Row};
use crate::writer::Rows;
use std::cell::UnsafeCell;
use std::cmp::Ordering;
use tidemill_sys::abi;

/// A state of entries by their own key `K` under each key of the input.
///
/// `K` is `bool`, a whole number, [`Decimal`](crate::Decimal), `&str`, `String`, [`Timestamp`](crate::Timestamp), [`Date`](crate::Date) or
/// a row of these. Entries are read and written one by one, so a map may be far larger than memory.
pub struct Map<K: Row, V: Row> {
    inner: UnsafeCell<Inner<K, V>>,
}

pub(super) struct Inner<K: Row, V: Row> {
    pub common: Common,
    key_fields: Vec<Field>,
    value_fields: Vec<Field>,
    pub cells: Vec<Cell>, // by key
    pub base: Vec<Pair<K, V>>,
    pub entries: Vec<Entry<K, V>>, // from 1 on; 0 stands for no entry
    index: Index,                  // of entries, by cell and key
    touched: Vec<u32>,             // keys in the order of their first entry
    keys: Rows,
    values: Rows,
    block: Answer,                  // of keys to ask for
    pub idle: Vec<Vec<Pair<K, V>>>, // memory of loops that have ended
    pub idle_buffers: Vec<Vec<u128>>,
}

/// The map of one key in a frame: entries of the base that were there, and a chain of entries that the frame read or changed.
#[derive(Clone, Copy, Default)]
pub(super) struct Cell {
    pub ask: bool,
    pub cleared: bool, // what was there is gone
    clearing: bool,    // and the host does not know yet
    touched: bool,
    pub from: u32,
    pub to: u32,
    pub first: u32, // entry, 0 = none
}

/// An entry that the frame read or changed.
pub(super) struct Entry<K: Row, V: Row> {
    pub key: K::View<'static>,
    pub value: Option<V::View<'static>>, // None where it is absent
    cell: u32,
    hash: u32,     // of cell and key
    pub next: u32, // of the same cell
    changed: bool, // and the host does not know yet
}

impl<K: Row, V: Row> Map<K, V> {
    /// The value of an entry, where there is one.
    #[track_caller]
    pub fn get(&self, key: K::View<'_>) -> Option<V::View<'_>> {
        let inner = self.inner();
        let at = inner.common.key();
        let hash = inner.hash(at, &key);
        match inner.find(at, hash, &key) {
            0 => inner.read(at, hash, &key).as_ref().map(V::copy),
            i => inner.entries[i].value.as_ref().map(V::copy),
        }
    }

    /// Sets an entry.
    #[track_caller]
    pub fn set(&self, key: K::View<'_>, value: V::View<'_>) {
        let inner = self.inner();
        let i = inner.put(key);
        let core = &inner.common.core;
        core.add_bytes(V::text_bytes(&value));
        // SAFETY: entries are forgotten when the next frame begins, as the arena is.
        inner.entries[i].value = Some(unsafe { V::keep(value, &core.arena) });
    }

    /// Removes an entry. Removing what is not there does nothing.
    #[track_caller]
    pub fn remove(&self, key: K::View<'_>) {
        let inner = self.inner();
        let i = inner.put(key);
        inner.entries[i].value = None;
    }

    /// The value of an entry for changing it in place: it counts as written, and is the default where there was none. It is one look-up
    /// where `get` and `set` are two.
    #[track_caller]
    pub fn edit(&mut self, key: K::View<'_>) -> &mut V
    where
        V: Owned,
    {
        let inner = self.inner.get_mut();
        let at = inner.common.key();
        let hash = inner.hash(at, &key);
        let mut i = inner.find(at, hash, &key);
        if i == 0 {
            let value = inner.read(at, hash, &key);
            i = inner.find(at, hash, &key); // reading adds an entry where the host was asked
            if i == 0 {
                i = inner.add(at, hash, key);
            }
            inner.entries[i].value = value;
        }
        inner.entries[i].changed = true;
        let value: &mut Option<V> = &mut inner.entries[i].value;
        value.get_or_insert_with(V::default)
    }

    /// Removes all entries.
    #[track_caller]
    pub fn clear(&self) {
        self.inner().clear();
    }

    /// The entries that are there when the loop begins, as they are then, in ascending order of their keys.
    #[track_caller]
    pub fn iter(&self) -> Scan<'_, K, V> {
        Scan::new(self, Bounds::ALL)
    }

    /// The entries of `iter` in descending order.
    #[track_caller]
    pub fn iter_rev(&self) -> Scan<'_, K, V> {
        Scan::new(self, Bounds { descending: true, ..Bounds::ALL })
    }

    /// The entries with keys from `low` on and before `high`, in ascending order.
    #[track_caller]
    pub fn range(&self, low: K::View<'_>, high: K::View<'_>) -> Scan<'_, K, V> {
        let arena = &self.inner().common.core.arena;
        // SAFETY: a scan does not outlive the handler, and so neither the arena's content.
        let limits = unsafe { (K::keep(low, arena), K::keep(high, arena)) };
        Scan::new(self, Bounds { limits: Some(limits), descending: false })
    }

    /// What the methods work on. None of them lends any of it beyond its return, nor calls what could come back here.
    #[allow(clippy::mut_from_ref)]
    pub(super) fn inner(&self) -> &mut Inner<K, V> {
        // SAFETY: see above; the state is not Sync.
        unsafe { &mut *self.inner.get() }
    }
}

impl<'a, K: Row, V: Row> IntoIterator for &'a Map<K, V> {
    type Item = (K::View<'a>, V::View<'a>);
    type IntoIter = Scan<'a, K, V>;

    #[track_caller]
    fn into_iter(self) -> Scan<'a, K, V> {
        self.iter()
    }
}

impl<K: Row, V: Row> Inner<K, V> {
    /// The hash of a key in a cell. It differs from frame to frame, so that nobody can choose keys that collide.
    fn hash(&self, cell: usize, key: &K::View<'_>) -> u32 {
        let seed = crate::cell::mix(self.common.core.seed.get(), cell as u64); // before the key, so that both do not cancel out
        (K::hash(key, seed) >> 32) as u32
    }

    /// The entry of a key in a cell, 0 where there is none.
    pub fn find(&self, cell: usize, hash: u32, key: &K::View<'_>) -> usize {
        let is = |i: u32| {
            let e = &self.entries[i as usize];
            e.hash == hash && e.cell == cell as u32 && K::compare(&e.key, key) == Ordering::Equal
        };
        self.index.find(hash, is) as usize
    }

    /// Whether the frame read or changed the entry of a key.
    pub fn has_entry(&self, cell: usize, key: &K::View<'_>) -> bool {
        self.find(cell, self.hash(cell, key), key) > 0
    }

    /// The value of an entry before the frame. What the host is asked for becomes an entry.
    fn read(&mut self, at: usize, hash: u32, key: &K::View<'_>) -> Option<V::View<'static>> {
        let cell = self.cells[at];
        if cell.cleared {
            return None;
        }
        if cell.ask {
            self.keys.clear();
            self.keys.push::<K>(key);
            let found = self.common.ask(Self::key_block(&mut self.block, &self.key_fields, &self.keys));
            let value = found.map(|block| {
                self.common.columns.clear();
                block.columns(&mut self.common.columns, abi::BLOCK_SIZE, block.u32(8) as usize);
                // SAFETY: the block has the state's value columns; entries are forgotten with it.
                unsafe { V::read(self.common.columns.as_ptr(), 0) }
            });
            let i = self.add(at, hash, K::copy(key));
            let out = value.as_ref().map(V::copy);
            self.entries[i].value = value;
            return out;
        }
        let base = &self.base[cell.from as usize..cell.to as usize];
        let i = base.binary_search_by(|p| K::compare(&p.0, key)).ok()?;
        Some(V::copy(&base[i].1))
    }

    /// The rows block of keys.
    pub fn key_block<'b>(block: &'b mut Answer, fields: &[Field], keys: &Rows) -> &'b [u8] {
        block.start_block(keys.len(), fields.len());
        write_columns(fields, keys, block, abi::BLOCK_SIZE as usize);
        block.finish_block()
    }

    /// The rows block of a low and a high key.
    pub fn bounds_block(&mut self, low: &K::View<'_>, high: &K::View<'_>) -> &[u8] {
        self.keys.clear();
        self.keys.push::<K>(low);
        self.keys.push::<K>(high);
        Self::key_block(&mut self.block, &self.key_fields, &self.keys)
    }

    /// Adds an entry, whose value is absent.
    fn add(&mut self, at: usize, hash: u32, key: K::View<'_>) -> usize {
        self.touch(at);
        let i = self.entries.len().max(1);
        if self.entries.is_empty() {
            self.entries.push(Entry { key: self.kept(K::copy(&key)), value: None, cell: 0, hash: 0, next: 0, changed: false });
        }
        self.common.core.add_bytes(CHANGE_BYTES + K::WIDTH + V::WIDTH + K::text_bytes(&key));
        let key = self.kept(key);
        let cell = &mut self.cells[at];
        self.entries.push(Entry { key, value: None, cell: at as u32, hash, next: cell.first, changed: false });
        cell.first = i as u32;
        if self.index.full(self.entries.len()) {
            self.index.grow();
            for (j, e) in self.entries.iter().enumerate().skip(1).take(i - 1) {
                self.index.add(e.hash, j as u32);
            }
        }
        self.index.add(hash, i as u32);
        i
    }

    fn kept(&self, key: K::View<'_>) -> K::View<'static> {
        // SAFETY: entries are forgotten when the next frame begins, as the arena is.
        unsafe { K::keep(key, &self.common.core.arena) }
    }

    fn touch(&mut self, at: usize) {
        if !self.cells[at].touched {
            self.cells[at].touched = true;
            self.touched.push(at as u32);
        }
    }

    /// The entry for a change of the current key's map.
    #[track_caller]
    fn put(&mut self, key: K::View<'_>) -> usize {
        let at = self.common.key();
        let hash = self.hash(at, &key);
        let mut i = self.find(at, hash, &key);
        if i == 0 {
            i = self.add(at, hash, key);
        }
        self.entries[i].changed = true;
        i
    }

    #[track_caller]
    fn clear(&mut self) {
        let at = self.common.key();
        self.touch(at);
        let cell = &mut self.cells[at];
        (cell.cleared, cell.clearing) = (true, true);
        let mut i = cell.first as usize;
        while i > 0 {
            let e = &mut self.entries[i];
            (e.value, e.changed) = (None, false);
            i = e.next as usize;
        }
        self.common.core.add_bytes(CHANGE_BYTES + K::WIDTH + V::WIDTH);
    }

    /// Appends n pairs of the columns, a map's keys first.
    ///
    /// The columns must have so many rows, and the pairs must be forgotten when the frame ends.
    pub fn decode(&self, to: &mut Vec<Pair<K, V>>, n: usize) {
        let columns = self.common.columns.as_ptr();
        // SAFETY: see above.
        to.extend((0..n).map(|i| unsafe { (K::read(columns, i), V::read(columns.add(K::LEN), i)) }));
    }

    fn write_changes(&mut self) {
        let changes = &mut self.common.changes;
        changes.clear();
        self.keys.clear();
        self.values.clear();
        for key in &self.touched {
            let cell = &mut self.cells[*key as usize];
            if std::mem::take(&mut cell.clearing) {
                changes.add(*key, abi::OP_CLEAR_ALL);
                self.keys.push_zero();
                self.values.push_zero();
            }
            let mut i = cell.first as usize;
            while i > 0 {
                let e = &mut self.entries[i];
                i = e.next as usize;
                if !std::mem::take(&mut e.changed) {
                    continue;
                }
                self.keys.push::<K>(&e.key);
                match &e.value {
                    Some(value) => {
                        changes.add(*key, abi::OP_SET);
                        self.values.push::<V>(value);
                    }
                    None => {
                        changes.add(*key, abi::OP_CLEAR);
                        self.values.push_zero();
                    }
                }
            }
        }
    }
}

impl<K: Row, V: Row> Part for Map<K, V> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        const {
            assert!(
                K::ORDERED,
                "the key of a map is bool, a whole number, Decimal, &str, String, Timestamp, Date or a row of these, and no list"
            )
        };
        let common = Common::declare(to, &field, false);
        let key_fields = state_fields::<K>(to, &field, "key");
        let value_fields = state_fields::<V>(to, &field, "value");
        let (keys, values) = (Rows::new(&key_fields), Rows::new(&value_fields));
        Map {
            inner: UnsafeCell::new(Inner {
                common,
                key_fields,
                value_fields,
                cells: Vec::new(),
                base: Vec::new(),
                entries: Vec::new(),
                index: Index::default(),
                touched: Vec::new(),
                keys,
                values,
                block: Answer::default(),
                idle: Vec::new(),
                idle_buffers: Vec::new(),
            }),
        }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::State(self.inner.get_mut())
    }
}

impl<K: Row, V: Row> State for Inner<K, V> {
    fn bind(&self) -> abi::BindState {
        self.common.bind("map", &self.key_fields, &self.value_fields)
    }

    fn prefetched(&self, port_or_timer: &str) -> bool {
        self.common.prefetched(port_or_timer)
    }

    fn load(&mut self, keys: usize, frame: &Frame<'_>) {
        for (i, e) in self.entries.iter().enumerate().skip(1) {
            self.index.remove(e.hash, i as u32);
        }
        self.entries.clear();
        self.cells.clear();
        self.base.clear();
        self.touched.clear();
        let Some(section) = frame.state(self.common.id as usize) else {
            self.cells.resize(keys, Cell { ask: true, ..Cell::default() });
            return;
        };
        let (status, start): (&[u8], &[u32]) = (section.array(16, keys), section.array(20, keys + 1));
        self.cells.extend(status.iter().zip(start.windows(2)).map(|(status, bounds)| Cell {
            ask: u32::from(*status) == abi::STATUS_ASK,
            from: bounds[0],
            to: bounds[1],
            ..Cell::default()
        }));
        self.common.columns.clear();
        section.columns(&mut self.common.columns, abi::STATE_SIZE, section.u32(12) as usize);
        let mut base = std::mem::take(&mut self.base);
        self.decode(&mut base, section.u32(24) as usize);
        self.base = base;
    }

    fn flush(&mut self, to: &mut Answer) {
        self.write_changes();
        if self.common.changes.keys.is_empty() {
            return;
        }
        let nodes = self.common.open_changes(to, abi::STATE_MAP, &self.key_fields, &self.value_fields);
        let nodes = write_columns(&self.key_fields, &self.keys, to, nodes);
        write_columns(&self.value_fields, &self.values, to, nodes);
        to.close();
    }
}
