use super::{state_fields, write_columns, Common};
use crate::answer::Answer;
use crate::frame::Frame;
use crate::part::{Declaration, Declare, Part, PartRef, State};
use crate::row::{Field, Owned, Row};
use crate::writer::Rows;
use std::cell::UnsafeCell;
use tidemill_sys::abi;

/// A state of one value a key.
pub struct Value<T: Row> {
    inner: UnsafeCell<Inner<T>>,
}

struct Inner<T: Row> {
    common: Common,
    fields: Vec<Field>,
    cells: Vec<Cell<T>>, // by key
    rows: Rows,
}

/// The value of one key. Borrowed texts lie in the frame or in the arena.
struct Cell<T: Row> {
    value: Option<T::View<'static>>,
    status: u8, // CLEAN, ASK or DIRTY
}

/// The cell is as the host has it, must be asked for, or was changed by the frame.
const CLEAN: u8 = 0;
const ASK: u8 = 1;
const DIRTY: u8 = 2;

impl<T: Row> Value<T> {
    /// The value, where there is one.
    #[inline]
    #[track_caller]
    pub fn get(&self) -> Option<T::View<'_>> {
        self.inner().loaded().value.as_ref().map(T::copy)
    }

    /// Sets the value. Setting an equal value is a write.
    #[inline]
    #[track_caller]
    pub fn set(&self, value: T::View<'_>) {
        let inner = self.inner();
        let key = inner.common.key();
        inner.common.core.add_bytes(T::text_bytes(&value));
        // SAFETY: cells are forgotten when the next frame begins, as the arena is.
        let value = unsafe { T::keep(value, &inner.common.core.arena) };
        inner.cells[key] = Cell { value: Some(value), status: DIRTY };
    }

    /// Removes the value.
    #[track_caller]
    pub fn clear(&self) {
        let inner = self.inner();
        let key = inner.common.key();
        inner.cells[key] = Cell { value: None, status: DIRTY };
    }

    /// The value for changing it in place: it counts as written, and is the default where there was none.
    #[inline]
    #[track_caller]
    pub fn edit(&mut self) -> &mut T
    where
        T: Owned,
    {
        let cell = self.inner.get_mut().loaded();
        cell.status = DIRTY;
        let value: &mut Option<T> = &mut cell.value;
        value.get_or_insert_with(T::default)
    }

    /// What the methods work on. None of them lends any of it beyond its return, nor calls what could come back here.
    #[allow(clippy::mut_from_ref)]
    #[inline(always)]
    fn inner(&self) -> &mut Inner<T> {
        // SAFETY: see above; the state is not Sync.
        unsafe { &mut *self.inner.get() }
    }
}

impl<T: Row> Inner<T> {
    /// The current key's cell, loaded.
    #[inline(always)]
    #[track_caller]
    fn loaded(&mut self) -> &mut Cell<T> {
        let key = self.common.key();
        if self.cells[key].status == ASK {
            self.load(key);
        }
        &mut self.cells[key]
    }

    #[cold]
    fn load(&mut self, key: usize) {
        let value = self.common.ask(&[]).map(|block| {
            self.common.columns.clear();
            block.columns(&mut self.common.columns, abi::BLOCK_SIZE, block.u32(8) as usize);
            // SAFETY: the block has the state's columns, and cells are forgotten with it.
            unsafe { T::read(self.common.columns.as_ptr(), 0) }
        });
        self.cells[key] = Cell { value, status: CLEAN };
    }
}

impl<T: Row> Part for Value<T> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        let common = Common::declare(to, &field, true);
        let fields = state_fields::<T>(to, &field, "value");
        let rows = Rows::new(&fields);
        Value { inner: UnsafeCell::new(Inner { common, fields, cells: Vec::new(), rows }) }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::State(self.inner.get_mut())
    }
}

impl<T: Row> State for Inner<T> {
    fn bind(&self) -> abi::BindState {
        self.common.bind("value", &[], &self.fields)
    }

    fn prefetched(&self, port_or_timer: &str) -> bool {
        self.common.prefetched(port_or_timer)
    }

    fn load(&mut self, keys: usize, frame: &Frame<'_>) {
        self.cells.clear();
        let Some(section) = frame.state(self.common.id as usize) else {
            self.cells.resize_with(keys, || Cell { value: None, status: ASK });
            return;
        };
        self.common.columns.clear();
        section.columns(&mut self.common.columns, abi::STATE_SIZE, section.u32(12) as usize);
        let columns = self.common.columns.as_ptr();
        let status: &[u8] = section.array(16, keys);
        self.cells.extend(status.iter().enumerate().map(|(key, status)| {
            let status = u32::from(*status);
            // SAFETY: the section has a row of the state's columns for each key; cells are forgotten when the next frame begins.
            let value = (status == abi::STATUS_INLINE).then(|| unsafe { T::read(columns, key) });
            Cell { value, status: if status == abi::STATUS_ASK { ASK } else { CLEAN } }
        }));
    }

    fn flush(&mut self, to: &mut Answer) {
        let changes = &mut self.common.changes;
        changes.clear();
        self.rows.clear();
        for (key, cell) in self.cells.iter().enumerate() {
            if cell.status != DIRTY {
                continue;
            }
            match &cell.value {
                Some(value) => {
                    changes.add(key as u32, abi::OP_SET);
                    self.rows.push::<T>(value);
                }
                None => {
                    changes.add(key as u32, abi::OP_CLEAR);
                    self.rows.push_zero();
                }
            }
        }
        if !changes.keys.is_empty() {
            let nodes = self.common.open_changes(to, abi::STATE_VALUE, &[], &self.fields);
            write_columns(&self.fields, &self.rows, to, nodes);
            to.close();
        }
    }
}
