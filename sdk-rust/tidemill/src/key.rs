use crate::frame::{ColumnView, Frame};
use crate::host::{Core, NO_KEY};
use crate::part::{Declaration, Declare, Keyed, OpenProblem, Part, PartRef};
use crate::row::{self, Field, Reading, Row};
use std::marker::PhantomData;
use std::rc::Rc;
use tidemill_sys::abi;

/// Gives the key of the item under way, in timers too. `K` is a type of column, or a row of some of the key columns by name.
pub struct Key<K: Row> {
    core: Rc<Core>,
    fields: Vec<Field>,
    reading: Reading,
    order: Vec<usize>, // of the key's columns, those that the reading takes
    columns: Vec<ColumnView>,
    ordered: Vec<ColumnView>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Row> Key<K> {
    /// The current key. Its texts are valid until the handler returns.
    #[track_caller]
    pub fn get(&self) -> K::View<'_> {
        let key = self.core.key.get();
        if key == NO_KEY {
            panic!("the key is read where no item with a key is under way");
        }
        // SAFETY: the frame has a row for each of its keys, and lives until the handler returns.
        unsafe { K::read(self.reading.views.as_ptr(), key as usize) }
    }
}

impl<K: Row> Part for Key<K> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        to.options(&field, "a key", &[]);
        let fields = row::fields::<K>(field.name).and_then(|list| match list.iter().find(|f| f.r#type.list) {
            Some(f) => Err(format!("column {}: a list cannot be part of a key", f.name)),
            None => Ok(list),
        });
        let fields = fields.unwrap_or_else(|why| {
            to.wrong_field(&field, why);
            Vec::new()
        });
        to.keyed = true;
        Key {
            core: to.core.clone(),
            fields,
            reading: Reading::default(),
            order: Vec::new(),
            columns: Vec::new(),
            ordered: Vec::new(),
            keys: PhantomData,
        }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Key(self)
    }
}

impl<K: Row> Keyed for Key<K> {
    fn bind(&mut self, key: &[abi::Field]) -> Result<(), OpenProblem> {
        if let ([field], [column]) = (self.fields.as_mut_slice(), key) {
            field.name = column.name.clone().into();
        }
        self.reading = Reading::bind(&self.fields, key, "an Option")
            .map_err(|p| OpenProblem::new(format!("key: column {}: {}", p.column, p.message)))?;
        self.order = self.reading.names.iter().filter_map(|name| key.iter().position(|c| c.name == *name)).collect();
        Ok(())
    }

    fn load(&mut self, frame: &Frame<'_>) {
        let Some(section) = frame.keys() else { return };
        self.columns.clear();
        section.columns(&mut self.columns, abi::KEYS_SIZE, section.u32(12) as usize);
        self.ordered.clear();
        self.ordered.extend(self.order.iter().map(|i| self.columns[*i]));
        self.reading.load(&self.ordered, &[], section.u32(4) as usize);
    }
}
