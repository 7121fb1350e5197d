use crate::answer::Answer;
use crate::column_type::ColumnType;
use crate::host::Core;
use crate::part::{Declaration, Declare, OpenProblem, Output, Part, PartRef};
use crate::row::{self, ColumnProblem, Field, Row, Source};
use crate::writer::Rows;
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::rc::Rc;
use tidemill_sys::abi;

/// An output port whose rows are of type `R`.
///
/// A row has the event time of the item under way, unless `R` has a column `#[tm(name = "...", event_time)]`. Where rows take over
/// columns of the input (see [`FromInput`](crate::FromInput)) and there are several input ports, `#[tm(input = "port")]` says which.
pub struct Out<R: Row> {
    core: Rc<Core>,
    port: Port,
    emitted: UnsafeCell<Rows>,
    rows: PhantomData<fn(R)>,
}

/// What an emitted row takes besides its columns: the item it belongs to, and event time and position in the host.
pub(crate) const ROW_BYTES: usize = 4 + 16;

impl<R: Row> Out<R> {
    /// Emits a row, whose texts and lists are copied. Rows of a port keep the order in which they were emitted.
    #[inline]
    pub fn emit(&self, row: R::View<'_>) {
        // SAFETY: nothing that is called while it is borrowed is the user's or comes back here.
        let rows = unsafe { &mut *self.emitted.get() };
        let texts = rows.push_for::<R>(&row, self.core.item.get());
        self.core.add_bytes(R::WIDTH + ROW_BYTES + texts);
    }
}

/// Tells the row of an output.
#[doc(hidden)]
pub trait OutOf {
    type Row;
}

impl<R: Row> OutOf for Out<R> {
    type Row = R;
}

impl<R: Row> Part for Out<R> {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        let fields = row::fields::<R>("value").unwrap_or_else(|why| {
            to.wrong_field(&field, why);
            Vec::new()
        });
        let rows = Rows::new(&fields);
        let port = Port::declare(to, field, fields);
        let emitted = UnsafeCell::new(rows);
        Out { core: to.core.clone(), port, emitted, rows: PhantomData }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Output(self)
    }
}

impl<R: Row> Output for Out<R> {
    fn name(&self) -> &str {
        self.port.name
    }

    fn bind(&mut self) -> Result<abi::BindOutput, OpenProblem> {
        self.port.bind(&self.core)
    }

    fn reset(&mut self) {
        self.emitted.get_mut().clear();
    }

    fn sections(&self) -> usize {
        1
    }

    fn flush(&mut self, to: &mut Answer, done: usize) {
        let rows = self.emitted.get_mut();
        if rows.len() > 0 {
            self.port.write(to, &self.core, rows, rows.items(done));
        }
    }
}

/// What an output port is besides its rows.
pub(crate) struct Port {
    pub name: &'static str,
    id: u32,
    input: Option<&'static str>, // the port whose columns are passed through, where there are several
    fields: Vec<Field>,
    columns: Vec<Column>,
    passes: Option<u32>, // the input port whose columns are passed through
}

/// A column of an output port.
enum Column {
    Own(usize), // field
    Passed { r#type: abi::Type, flag: u32, index: u32 },
}

impl Port {
    pub fn declare(to: &mut Declare<'_>, field: Declaration, fields: Vec<Field>) -> Port {
        to.options(&field, "an output port", &["input"]);
        if let Some(f) = fields.iter().find(|f| f.source == Source::EventTime) {
            let why =
                format!("{}: the event time of an output row is a column with a name: #[tm(name = \"...\", event_time)]", f.name);
            to.wrong_field(&field, why);
        }
        to.outputs += 1;
        Port { name: field.name, id: to.outputs - 1, input: field.option("input"), fields, columns: Vec::new(), passes: None }
    }

    /// Resolves the columns that are passed through.
    pub fn bind(&mut self, core: &Core) -> Result<abi::BindOutput, OpenProblem> {
        let port = self.name;
        self.columns.clear();
        let mut input: &[abi::Field] = &[];
        if self.fields.iter().any(|f| matches!(f.source, Source::Input(_))) {
            let at = self.source(core).map_err(|why| OpenProblem::new(format!("port {port}: {why}")))?;
            input = &core.request.inputs[at].schema;
            self.passes = Some(at as u32);
        }
        let mut schema = Vec::new();
        for (i, f) in self.fields.iter().enumerate() {
            let passed = match f.source {
                Source::Input(from) => pass(f, from, input, abi::NODE_INPUT, "the input does not have it"),
                Source::Key(from) => pass(f, from, &core.request.key, abi::NODE_KEY, "it is no key column"),
                _ => {
                    self.columns.push(Column::Own(i));
                    schema.push(f.column());
                    continue;
                }
            };
            let passed = passed.map_err(|p| OpenProblem::new(format!("port {port}: column {}: {}", p.column, p.message)))?;
            for (field, column) in passed {
                schema.push(field);
                self.columns.push(column);
            }
        }
        let event_time = self.fields.iter().find(|f| f.event_time).map_or(String::new(), |f| f.name.to_string());
        Ok(abi::BindOutput { name: port.into(), schema, kind: String::new(), event_time })
    }

    /// The input port whose columns can be passed through: the only one, or that of the option.
    fn source(&self, core: &Core) -> Result<usize, String> {
        let inputs = &core.request.inputs;
        match self.input {
            None if inputs.len() == 1 => Ok(0),
            None => {
                Err("it passes columns of the input through, and there are several inputs: say which by #[tm(input = \"port\")]"
                    .into())
            }
            Some(name) => inputs.iter().position(|i| i.port == name).ok_or(format!("there is no input port {name}")),
        }
    }

    /// Adds a section with rows, each of which belongs to its item, or to the item of its own index.
    pub fn write(&self, to: &mut Answer, core: &Core, rows: &Rows, items: Option<&[u32]>) {
        self.check(core);
        let nodes = self.columns.iter().map(|c| self.nodes(c)).sum();
        let head = to.open(abi::SECTION_BATCH, self.id, abi::BATCH_SIZE, nodes);
        to.put_u32(head, rows.len() as u32);
        to.put_u32(head + 4, self.columns.len() as u32);
        to.put_u32(head + 8, nodes as u32);
        match items {
            None => to.put_u32(head + 12, abi::BATCH_IDENTITY),
            Some(items) => to.array(head + 16, items),
        }
        let mut node = head + abi::BATCH_SIZE as usize;
        for c in &self.columns {
            match *c {
                Column::Own(field) => node = rows.flush(field, self.fields[field].tz, to, node),
                Column::Passed { r#type, flag, index } => {
                    to.put_u16(node, r#type.0);
                    to.put_u16(node + 2, flag as u16);
                    to.put_u32(node + 4, rows.len() as u32);
                    to.put_u32(node + 32, index);
                    node += abi::NODE_SIZE as usize;
                }
            }
        }
        to.close();
    }

    /// The nodes that a column takes in an answer.
    fn nodes(&self, column: &Column) -> usize {
        match *column {
            Column::Own(field) => self.fields[field].r#type.nodes(),
            Column::Passed { .. } => 1,
        }
    }

    /// Panics where rows of another kind of item were emitted than those that have the columns.
    fn check(&self, core: &Core) {
        let Some(input) = self.passes else { return };
        if core.echo.get().kind != abi::KIND_BATCH || core.port.get() != input {
            let from = &core.request.inputs[input as usize].port;
            panic!("port {} passes columns of input {from} through: only rows of it can be emitted there", self.name);
        }
    }
}

/// The columns that a field takes over.
fn pass(
    f: &Field,
    from: row::From,
    schema: &[abi::Field],
    flag: u32,
    missing: &str,
) -> Result<Vec<(abi::Field, Column)>, ColumnProblem> {
    let mut passed = Vec::new();
    for (index, column) in schema.iter().enumerate() {
        if from.is_some_and(|name| name != column.name) {
            continue;
        }
        let name = if from.is_some() { f.name.to_string() } else { column.name.clone() };
        let r#type = ColumnType::parse(&column.r#type).unwrap_or(ColumnType::NONE).number();
        passed.push((abi::Field { name, ..column.clone() }, Column::Passed { r#type, flag, index: index as u32 }));
    }
    match from {
        Some(name) if passed.is_empty() => Err(ColumnProblem { column: name.into(), message: missing.into() }),
        _ => Ok(passed),
    }
}
