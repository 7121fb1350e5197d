use super::{state_fields, write_columns, Common, CHANGE_BYTES};
use crate::answer::Answer;
use crate::frame::Frame;
use crate::part::{Declaration, Declare, Part, PartRef, State};
use crate::row::{Field, Row};
use crate::writer::Rows;
use std::cell::UnsafeCell;
use tidemill_sys::abi;

/// A state of any number of values a key, in the order in which they were appended. Appending reads nothing.
pub struct List<T: Row> {
    inner: UnsafeCell<Inner<T>>,
}

struct Inner<T: Row> {
    common: Common,
    fields: Vec<Field>,
    cells: Vec<Cell>, // by key
    elements: Vec<T::View<'static>>,
    appended: Vec<Appended<T>>,
    touched: Vec<u32>, // keys in the order of their first change
    rows: Rows,
}

/// The list of one key in a frame: elements that were there, then a chain of appended ones.
#[derive(Clone, Copy, Default)]
struct Cell {
    ask: bool,
    cleared: bool, // by the frame
    touched: bool,
    from: u32,
    to: u32,
    appended: u32,
    first: u32, // appended element
    last: u32,
}

struct Appended<T: Row> {
    value: T::View<'static>,
    next: u32,
}

impl<T: Row> List<T> {
    /// Appends a value.
    #[track_caller]
    pub fn append(&self, value: T::View<'_>) {
        let inner = self.inner();
        let key = inner.touch();
        let at = inner.appended.len() as u32;
        let core = &inner.common.core;
        core.add_bytes(CHANGE_BYTES + T::WIDTH + T::text_bytes(&value));
        // SAFETY: appended elements are forgotten when the next frame begins, as the arena is.
        inner.appended.push(Appended { value: unsafe { T::keep(value, &core.arena) }, next: 0 });
        let cell = &mut inner.cells[key];
        if cell.appended == 0 {
            cell.first = at;
        } else {
            inner.appended[cell.last as usize].next = at;
        }
        cell.last = at;
        cell.appended += 1;
    }

    /// The values that are there when the loop begins.
    #[track_caller]
    pub fn iter(&self) -> ListIter<'_, T> {
        let inner = self.inner();
        let key = inner.loaded();
        let cell = inner.cells[key];
        ListIter { list: self, at: cell.from, to: cell.to, appended: cell.first, left: cell.appended }
    }

    /// The number of values.
    #[track_caller]
    pub fn len(&self) -> usize {
        self.iter().len()
    }

    /// Whether there are no values.
    #[track_caller]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all values.
    #[track_caller]
    pub fn clear(&self) {
        let inner = self.inner();
        let key = inner.touch();
        inner.cells[key] = Cell { cleared: true, touched: true, ..Cell::default() };
        inner.common.core.add_bytes(CHANGE_BYTES + T::WIDTH);
    }

    /// What the methods work on. None of them lends any of it beyond its return, nor calls what could come back here.
    #[allow(clippy::mut_from_ref)]
    fn inner(&self) -> &mut Inner<T> {
        // SAFETY: see above; the state is not Sync.
        unsafe { &mut *self.inner.get() }
    }
}

/// A loop over a list.
pub struct ListIter<'a, T: Row> {
    list: &'a List<T>,
    at: u32,
    to: u32,
    appended: u32,
    left: u32,
}

impl<'a, T: Row> Iterator for ListIter<'a, T> {
    type Item = T::View<'a>;

    fn next(&mut self) -> Option<T::View<'a>> {
        let inner = self.list.inner();
        if self.at < self.to {
            self.at += 1;
            return inner.elements.get(self.at as usize - 1).map(T::copy);
        }
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        let a = &inner.appended[self.appended as usize];
        self.appended = a.next;
        Some(T::copy(&a.value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let n = (self.to - self.at + self.left) as usize;
        (n, Some(n))
    }
}

impl<T: Row> ExactSizeIterator for ListIter<'_, T> {}

impl<'a, T: Row> IntoIterator for &'a List<T> {
    type Item = T::View<'a>;
    type IntoIter = ListIter<'a, T>;

    #[track_caller]
    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

impl<T: Row> Inner<T> {
    /// Index of the current key, whose elements are loaded.
    #[track_caller]
    fn loaded(&mut self) -> usize {
        let key = self.common.key();
        if self.cells[key].ask {
            self.cells[key].ask = false;
            if let Some(block) = self.common.ask(&[]) {
                self.cells[key].from = self.elements.len() as u32;
                self.common.columns.clear();
                block.columns(&mut self.common.columns, abi::BLOCK_SIZE, block.u32(8) as usize);
                self.extend(block.u32(0) as usize);
                self.cells[key].to = self.elements.len() as u32;
            }
        }
        key
    }

    /// Adds n rows of the columns to the elements.
    fn extend(&mut self, n: usize) {
        let columns = self.common.columns.as_ptr();
        // SAFETY: they are the state's columns of so many rows; elements are forgotten when the next frame begins.
        self.elements.extend((0..n).map(|i| unsafe { T::read(columns, i) }));
    }

    /// Index of the current key, whose cell is about to change.
    #[track_caller]
    fn touch(&mut self) -> usize {
        let key = self.common.key();
        if !self.cells[key].touched {
            self.cells[key].touched = true;
            self.touched.push(key as u32);
        }
        key
    }
}

impl<T: Row> Part for List<T> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        let common = Common::declare(to, &field, false);
        let fields = state_fields::<T>(to, &field, "value");
        let rows = Rows::new(&fields);
        List {
            inner: UnsafeCell::new(Inner {
                common,
                fields,
                cells: Vec::new(),
                elements: Vec::new(),
                appended: Vec::new(),
                touched: Vec::new(),
                rows,
            }),
        }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::State(self.inner.get_mut())
    }
}

impl<T: Row> State for Inner<T> {
    fn bind(&self) -> abi::BindState {
        self.common.bind("list", &[], &self.fields)
    }

    fn prefetched(&self, port_or_timer: &str) -> bool {
        self.common.prefetched(port_or_timer)
    }

    fn load(&mut self, keys: usize, frame: &Frame<'_>) {
        self.cells.clear();
        self.elements.clear();
        self.appended.clear();
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
        self.extend(section.u32(24) as usize);
    }

    fn flush(&mut self, to: &mut Answer) {
        let changes = &mut self.common.changes;
        changes.clear();
        self.rows.clear();
        for key in &self.touched {
            let cell = &self.cells[*key as usize];
            if cell.cleared {
                changes.add(*key, abi::OP_CLEAR);
                self.rows.push_zero();
            }
            let mut at = cell.first as usize;
            for _ in 0..cell.appended {
                changes.add(*key, abi::OP_APPEND);
                self.rows.push::<T>(&self.appended[at].value);
                at = self.appended[at].next as usize;
            }
        }
        if !changes.keys.is_empty() {
            let nodes = self.common.open_changes(to, abi::STATE_LIST, &[], &self.fields);
            write_columns(&self.fields, &self.rows, to, nodes);
            to.close();
        }
    }
}
