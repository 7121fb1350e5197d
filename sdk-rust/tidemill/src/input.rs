use crate::error::Error;
use crate::frame::{ColumnView, Frame};
use crate::host::Core;
use crate::part::{Declaration, Declare, Input, OpenProblem, Part, PartRef};
use crate::row::{self, Field, Reading, Row};
use std::marker::PhantomData;
use std::rc::Rc;
use tidemill_sys::abi;

/// An input port whose rows are of type `R`, a struct of the columns that the operator reads.
///
/// A method with `#[on_row(field)]` takes its rows, one at a time, by value or by reference. A row and all its texts are views of the
/// frame, valid until the method returns. An error rejects the row: the job's policy says what happens to it, and nothing the method
/// did for it takes effect. A record costs no allocation, but for fields of type `String` and `Vec`.
pub struct In<R: Row> {
    core: Rc<Core>,
    id: u32,
    name: &'static str,
    fields: Vec<Field>,
    reading: Reading,
    columns: Vec<ColumnView>,
    rows: PhantomData<fn() -> R>,
}

impl<R: Row> Part for In<R> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        to.options(&field, "an input port", &[]);
        let fields = row::fields::<R>("value").unwrap_or_else(|why| {
            to.wrong_field(&field, why);
            Vec::new()
        });
        to.inputs += 1;
        In {
            core: to.core.clone(),
            id: to.inputs - 1,
            name: field.name,
            fields,
            reading: Reading::default(),
            columns: Vec::new(),
            rows: PhantomData,
        }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Input(self)
    }
}

impl<R: Row> Input for In<R> {
    fn port(&self) -> abi::InputPort {
        abi::InputPort { name: self.name.into(), keyed: false, columns: row::schema(&self.fields) }
    }

    fn bind(&mut self, input: &abi::OpenInput) -> Result<abi::BindInput, OpenProblem> {
        self.reading = Reading::bind(&self.fields, &input.schema, "an Option")
            .map_err(|problem| OpenProblem::column(&input.port, problem))?;
        Ok(abi::BindInput {
            columns: self.reading.names.clone(),
            event_time: self.reading.event_time,
            ..abi::BindInput::default()
        })
    }
}

// What the code of #[operator] calls.
impl<R: Row> In<R> {
    /// The port's index.
    #[doc(hidden)]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// The first rows of a frame.
    #[doc(hidden)]
    pub fn rows<'f>(&mut self, frame: &Frame<'f>, items: usize) -> Rows<'f, R> {
        self.columns.clear();
        let mut times: &[i64] = &[];
        if let Some(batch) = frame.batch() {
            batch.columns(&mut self.columns, abi::BATCH_SIZE, batch.u32(8) as usize);
            times = batch.array(20, items);
        }
        self.reading.load(&self.columns, times, items);
        let keys: &'f [u32] = frame.keys().map_or(&[], |keys| keys.array(16, items));
        Rows { core: self.core.clone(), views: std::mem::take(&mut self.reading.views), keys, at: 0, items, rows: PhantomData }
    }

    /// Ends the rows: how many took effect, or the error of the last.
    #[doc(hidden)]
    pub fn end(&mut self, rows: Rows<'_, R>, failed: Option<Error>) -> Result<usize, Error> {
        self.reading.views = rows.views;
        match failed {
            Some(e) => Err(e),
            None => Ok(rows.at),
        }
    }
}

/// The rows of a frame, each of which is the item under way until the next is taken.
#[doc(hidden)]
pub struct Rows<'f, R> {
    core: Rc<Core>,
    views: Vec<ColumnView>,
    keys: &'f [u32], // empty where the port has no key
    at: usize,
    items: usize,
    rows: PhantomData<fn() -> R>,
}

impl<R: Row> Rows<'_, R> {
    /// The next row, unless the answer is full.
    #[allow(clippy::should_implement_trait)] // the row borrows from the rows, which an Iterator's cannot
    #[inline(always)]
    pub fn next(&mut self) -> Option<R::View<'_>> {
        let i = self.at;
        if i >= self.items || self.core.bytes.get() >= self.core.stop.get() {
            return None;
        }
        self.core.item.set(i as u32);
        if let Some(key) = self.keys.get(i) {
            self.core.key.set(*key);
        }
        self.at = i + 1;
        // SAFETY: the reading was bound to R's fields, and the row is gone before the next is taken.
        Some(unsafe { R::read(self.views.as_ptr(), i) })
    }
}
