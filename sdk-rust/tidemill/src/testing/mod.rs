//! Runs an operator in an ordinary test, without WebAssembly.
//!
//! It runs on rows that the test gives, with event time and processing time that the test moves. A [`Harness`] is a small host in memory
//! that speaks the contract's frames with the same engine that a module holds, and keeps the ten rules of the contract; see the crate's
//! documentation for an example.
//!
//! With [`Config::shake`] frames are cut at random, states are asked for instead of sent, and the operator is replaced by a new one
//! between frames: what it emits must not change.

#[cfg(test)]
mod allocs;
mod decode;
mod encode;
#[cfg(test)]
mod golden;
mod panics;
mod store;
mod world;

use crate::column_type::ColumnType;
use crate::operator::{Entry, Operator, Runs};
use crate::part::OpenProblem;
use crate::row::{self, Field, Row, Source};
use crate::{Param, Timestamp};
use encode::{nodes, Encoder};
use std::cell::RefCell;
use std::rc::Rc;
use store::{key_name, types, StateStore, Store, Timer, Values};
use tidemill_sys::abi;
use tidemill_sys::json::Value as Json;
use world::{Item, Running, TestHost, World};

pub use crate::testing_value::Datum;

/// How an operator is run.
#[derive(Clone, Default)]
pub struct Config {
    params: Vec<(String, Json)>,
    key: Vec<String>,
    event_time: String,
    inputs: Vec<(String, Vec<abi::Field>)>,
    shake: u64,
    frame_bytes: Option<u32>,
}

impl Config {
    /// No parameters but the defaults, no key, inputs of the columns that the operator reads.
    pub fn new() -> Config {
        Config::default()
    }

    /// Gives a parameter.
    pub fn param(mut self, name: &str, value: impl Param) -> Config {
        self.params.push((name.into(), value.json()));
        self
    }

    /// The key columns, the same on every port.
    pub fn key<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Config {
        self.key = columns.into_iter().map(Into::into).collect();
        self
    }

    /// The column whose values are the rows' event times, where a row type has no field for it.
    pub fn event_time(mut self, column: &str) -> Config {
        self.event_time = column.into();
        self
    }

    /// Says which columns a port's input has, where it has more than the operator reads.
    pub fn input<R: Row>(mut self, port: &str) -> Config {
        self.inputs.push((port.into(), row::schema(&fields::<R>())));
        self
    }

    /// Seeds, where not 0, the choice of frames, of states that are asked for, and of replacements of the operator.
    pub fn shake(mut self, seed: u64) -> Config {
        self.shake = seed;
        self
    }

    /// Limits an answer, to 16 MiB where it is not said.
    pub fn frame_bytes(mut self, bytes: u32) -> Config {
        self.frame_bytes = Some(bytes);
        self
    }
}

/// The fields of a row of the test.
fn fields<R: Row>() -> Vec<Field> {
    let list = row::fields::<R>("value").unwrap_or_else(|why| panic!("{why}"));
    assert!(
        list.iter().all(|f| matches!(f.source, Source::Column | Source::EventTime)),
        "FromInput and FromKey are no columns: give a row with the types of their values"
    );
    list
}

/// An item that the operator rejected, by an error or a panic.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejected {
    /// The port of a row.
    pub port: Option<String>,
    /// The row as it was sent, in the order of the port's columns.
    pub row: Vec<Datum>,
    /// The name of a timer. A callback has neither port nor timer.
    pub timer: Option<String>,
    /// What the error or panic says.
    pub message: String,
    /// Where it panicked, as `file:line`.
    pub place: Option<String>,
}

/// A timer that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetTimer {
    /// Its name.
    pub name: String,
    /// Whether it is by processing time.
    pub processing: bool,
    /// The time it is set for.
    pub time: Timestamp,
    /// Its tag.
    pub tag: String,
}

/// An operator under test.
///
/// When it is dropped with rejected items that the test did not take by [`rejected`](Harness::rejected), it panics.
pub struct Harness {
    entry: Entry,
    config: Config,
    ports: Vec<abi::InputPort>,
    request: abi::OpenRequest,
    slot: Box<dyn Runs>,
    random: u64, // 0 without shake
    world: Rc<RefCell<World>>,
    rejected: Vec<Rejected>,
}

/// A frame of which nothing took effect.
struct Failure {
    item: Option<usize>,
    message: String,
    place: Option<String>,
}

impl Harness {
    /// Opens an operator. It panics where the operator refuses its parameters or inputs: see [`open`](Harness::open).
    #[track_caller]
    pub fn new<O: Operator>(config: Config) -> Harness {
        Harness::open::<O>(config).unwrap_or_else(|e| panic!("opening operator {}: {e}", O::NAME))
    }

    /// Opens an operator, or gives the error with which it refuses its parameters or inputs.
    pub fn open<O: Operator>(config: Config) -> Result<Harness, String> {
        let entry = Entry::of::<O>();
        let described = crate::operator::description(&[entry]).map_err(text)?.entries.remove(0);
        let mut request = abi::OpenRequest {
            entry: described.name.clone(),
            job: "test".into(),
            operator: described.name.clone(),
            parallelism: 1,
            params: config.params.clone(),
            limits: abi::OpenLimits {
                frame_bytes: config.frame_bytes.unwrap_or(abi::FRAME_BYTES_MAX).into(),
                rows: abi::ROWS_MAX.into(),
                cell_bytes: abi::CELL_BYTES_MAX.into(),
                key_bytes: abi::KEY_BYTES_MAX.into(),
            },
            ..abi::OpenRequest::default()
        };
        for port in &described.inputs {
            let given = config.inputs.iter().find(|(name, _)| *name == port.name);
            let schema = given.map_or(&port.columns, |(_, schema)| schema).clone();
            request.key.clear();
            for name in &config.key {
                let column = schema.iter().find(|f| f.name == *name);
                let missing = || format!("port {} has no key column {name}: give its columns by Config::input", port.name);
                request.key.push(column.ok_or_else(missing)?.clone());
            }
            let (event_time, keyed) = (config.event_time.clone(), !config.key.is_empty());
            request.inputs.push(abi::OpenInput { port: port.name.clone(), schema, event_time, keyed });
        }
        let world = Rc::new(RefCell::new(World { watermark: abi::WATERMARK_NONE, ..World::default() }));
        let (slot, descriptor) = open(&entry, &request, &world)?;
        {
            let mut w = world.borrow_mut();
            w.store = Store::new(&descriptor);
            w.outputs.resize_with(descriptor.outputs.len(), Vec::new);
            w.descriptor = descriptor;
        }
        if config.shake != 0 {
            println!("testing: shake {}", config.shake);
        }
        Ok(Harness { entry, random: config.shake, config, ports: described.inputs, request, slot, world, rejected: Vec::new() })
    }

    /// A random number below n.
    fn draw(&mut self, n: usize) -> usize {
        self.random = crate::cell::mix(self.random.wrapping_add(0x9e3779b97f4a7c15), 0);
        (self.random >> 33) as usize % n
    }

    fn shaken(&self) -> bool {
        self.config.shake != 0
    }

    /// Opens a new instance of the operator.
    fn replace(&mut self) {
        match open(&self.entry, &self.request, &self.world) {
            Ok((slot, _)) => self.slot = slot,
            Err(e) => panic!("opening operator {} again: {e}", self.request.entry),
        }
    }

    /// Sends rows to a port, as one batch, and fires the processing-time timers that are due after it.
    #[track_caller]
    pub fn send<'r, R: Row<View<'r> = R>>(&mut self, port: &str, rows: impl IntoIterator<Item = R>) {
        let list = fields::<R>();
        let Some(at) = self.ports.iter().position(|p| p.name == port) else { panic!("the operator has no port {port}") };
        let schema = &self.request.inputs[at].schema;
        let mut items = Vec::new();
        for row in rows {
            let mut data = Vec::new();
            R::data(&row, &mut data);
            let mut item = Item { port: Some(port.into()), time: Timestamp::NONE.0, ..Item::default() };
            for column in schema {
                let Some(i) = list.iter().position(|f| f.source == Source::Column && f.name == column.name) else {
                    panic!("the rows have no column {}", column.name)
                };
                if let (true, Datum::Int(time)) = (column.name == self.config.event_time, &data[i]) {
                    item.time = *time;
                }
                item.row.push(data[i].clone());
            }
            if let Some(Datum::Int(time)) = list.iter().position(|f| f.source == Source::EventTime).map(|i| &data[i]) {
                item.time = *time;
            }
            items.push(item);
        }
        self.run(abi::KIND_BATCH, at, &items);
        self.fire(abi::DOMAIN_PROCESSING);
    }

    /// Moves event time: due event timers fire in rounds, then the operator's `#[on_watermark]` runs. Going back does nothing.
    pub fn advance_watermark(&mut self, to: Timestamp) {
        if to.0 > self.world.borrow().watermark {
            self.world.borrow_mut().watermark = to.0;
            self.fire(abi::DOMAIN_EVENT);
            self.call_back(abi::KIND_WATERMARK, abi::CALLBACK_WATERMARK);
        }
    }

    /// Moves processing time, which is 0 at first: states with a `ttl` expire, then the timers fire that are due. Going back does nothing.
    pub fn advance_processing_time(&mut self, to: Timestamp) {
        if to.0 > self.world.borrow().now {
            let mut w = self.world.borrow_mut();
            w.now = to.0;
            w.store.expire(to.0);
            drop(w);
            self.fire(abi::DOMAIN_PROCESSING);
        }
    }

    /// Ends the input: the watermark becomes maximal, all event timers fire, then the operator's `#[on_end]` runs.
    pub fn end(&mut self) {
        self.advance_watermark(Timestamp::END);
        self.call_back(abi::KIND_END, abi::CALLBACK_END);
    }

    fn call_back(&mut self, kind: abi::Kind, name: &str) {
        let wanted = self.world.borrow().descriptor.callbacks.iter().any(|c| c == name);
        if wanted {
            self.run(kind, abi::NO_PORT as usize, &[Item::default()]);
        }
    }

    /// Fires due timers in rounds, one a key each, so that what a round sets or deletes counts for the next.
    fn fire(&mut self, domain: u32) {
        for _ in 0..abi::TIMER_ROUNDS_MAX {
            let items: Vec<Item> = {
                let w = self.world.borrow();
                let reached = if domain == abi::DOMAIN_PROCESSING { w.now } else { w.watermark };
                let due = |list: &Vec<Timer>| list.iter().find(|t| u32::from(t.domain) == domain && t.time <= reached).cloned();
                let due = w.store.timers.values().filter_map(due);
                due.map(|t| Item { time: t.time, timer: Some(t), ..Item::default() }).collect()
            };
            if items.is_empty() {
                return;
            }
            self.run(abi::KIND_TIMERS, abi::NO_PORT as usize, &items);
        }
        panic!("timers fired {} rounds", abi::TIMER_ROUNDS_MAX);
    }

    /// Has all items take effect or be rejected: the one algorithm of the contract for errors, traps and what was not consumed.
    fn run(&mut self, kind: abi::Kind, port: usize, mut items: &[Item]) {
        let mut single = false;
        while !items.is_empty() {
            let mut n = if kind == abi::KIND_BATCH { items.len().min(abi::ROWS_MAX as usize) } else { items.len() };
            if single {
                n = 1;
            } else if self.shaken() {
                n = 1 + self.draw(n);
            }
            match self.frame(kind, port, &items[..n]) {
                Ok(consumed) => items = &items[consumed..],
                Err(Failure { item: None, .. }) if n > 1 => single = true,
                Err(failure) => {
                    let at = failure.item.unwrap_or(0);
                    self.run(kind, port, &items[..at]);
                    self.reject(&items[at], failure);
                    items = &items[at + 1..];
                }
            }
        }
    }

    fn reject(&mut self, item: &Item, failure: Failure) {
        let mut w = self.world.borrow_mut();
        let timer = item.timer.as_ref().map(|t| {
            w.store.unset(t);
            w.descriptor.timers[t.name].name.clone()
        });
        let (port, row) = (item.port.clone(), item.row.clone());
        self.rejected.push(Rejected { port, row, timer, message: failure.message, place: failure.place });
    }

    /// Runs one frame, and has what it did take effect.
    fn frame(&mut self, kind: abi::Kind, port: usize, items: &[Item]) -> Result<usize, Failure> {
        if self.shaken() && self.draw(8) == 0 {
            self.replace();
        }
        {
            let mut w = self.world.borrow_mut();
            let sequence = w.running.sequence + 1;
            w.running = Running { kind, sequence, items: items.to_vec(), ..Running::default() };
        }
        self.resolve_keys(kind, port);
        let mut frame = self.encode(kind, port);
        let caught = panics::catch(|| {
            let answer = self.slot.process(&frame);
            self.world.borrow_mut().take(answer)
        });
        frame.fill(b'#'); // a view that was kept shows
        match caught {
            Ok(Ok(consumed)) => Ok(consumed),
            Ok(Err((message, item))) => Err(Failure { item, message, place: None }),
            Err(panic) => {
                let item = Some(self.slot.core().item.get() as usize).filter(|i| *i < items.len());
                self.replace(); // the instance is gone
                Err(Failure { item, message: panic.message, place: Some(panic.place) })
            }
        }
    }

    /// Finds the distinct keys of the items, in the order of their first appearance.
    fn resolve_keys(&self, kind: abi::Kind, port: usize) {
        if self.request.key.is_empty() || ![abi::KIND_BATCH, abi::KIND_TIMERS].contains(&kind) {
            return;
        }
        let mut w = self.world.borrow_mut();
        let World { store, running, .. } = &mut *w;
        for item in &running.items {
            let name = match &item.timer {
                Some(t) => t.key.clone(),
                None => {
                    let schema = &self.request.inputs[port].schema;
                    let columns = self.request.key.iter().filter_map(|k| schema.iter().position(|f| f.name == k.name));
                    let key: Values = columns.map(|i| item.row[i].clone()).collect();
                    let name = key_name(&key);
                    store.keys.insert(name.clone(), key);
                    name
                }
            };
            let at = running.names.iter().position(|n| *n == name).unwrap_or_else(|| {
                running.keys.push(store.keys[&name].clone());
                running.names.push(name);
                running.names.len() - 1
            });
            running.key_of.push(at);
        }
    }

    fn encode(&mut self, kind: abi::Kind, port: usize) -> crate::buffer::Buffer {
        let world = self.world.clone();
        let w = world.borrow();
        let mut e = Encoder::frame(kind, w.running.sequence, 4 + w.store.states.len());
        let context = e.open(abi::SECTION_CONTEXT, 0, abi::CONTEXT_SIZE, 0, &[]);
        e.put(context, &w.watermark.to_le_bytes());
        e.put(context + 8, &w.now.to_le_bytes());
        e.put(context + 16, &(self.config.shake ^ w.running.sequence).to_le_bytes());
        e.put(context + 24, &(port as u16).to_le_bytes());
        e.close();
        let mut prefetch: Vec<&String> = Vec::new();
        let mut needs_key = false;
        if kind == abi::KIND_BATCH {
            let bind = &w.descriptor.inputs[port];
            (prefetch, needs_key) = (bind.prefetch.iter().collect(), bind.needs_key);
            self.encode_rows(&mut e, &w, port);
        } else if kind == abi::KIND_TIMERS {
            needs_key = w.descriptor.inputs.iter().any(|bind| bind.needs_key);
            let timers = w.running.items.iter().filter_map(|i| i.timer.as_ref());
            prefetch = timers.flat_map(|t| &w.descriptor.timers[t.name].prefetch).collect();
            encode_timers(&mut e, &w.running);
        }
        if !w.running.key_of.is_empty() {
            let columns = if needs_key { types(&self.request.key) } else { Vec::new() };
            let head = [w.running.items.len(), w.running.keys.len(), columns.len(), nodes(&columns)];
            let at = e.open(abi::SECTION_KEYS, 0, abi::KEYS_SIZE, nodes(&columns), &head);
            e.array(at + 16, &u32s(w.running.key_of.iter().copied()));
            e.columns(at + abi::KEYS_SIZE as usize, &columns, &w.running.keys);
            e.close();
            for (id, state) in w.store.states.iter().enumerate() {
                if prefetch.contains(&&state.name) {
                    self.encode_state(&mut e, &w.running, id, state);
                }
            }
        }
        e.finish()
    }

    fn encode_rows(&self, e: &mut Encoder, w: &World, port: usize) {
        let (bind, schema) = (&w.descriptor.inputs[port], &self.request.inputs[port].schema);
        let at: Vec<usize> = bind.columns.iter().filter_map(|name| schema.iter().position(|f| f.name == *name)).collect();
        let types: Vec<ColumnType> = types(&at.iter().map(|i| schema[*i].clone()).collect::<Vec<_>>());
        let items = &w.running.items;
        let rows: Vec<Values> = items.iter().map(|item| at.iter().map(|i| item.row[*i].clone()).collect()).collect();
        let nodes = nodes(&types);
        let head = e.open(abi::SECTION_BATCH, 0, abi::BATCH_SIZE, nodes, &[rows.len(), types.len(), nodes]);
        if bind.event_time {
            e.put_u32(head + 12, abi::BATCH_EVENT_TIME);
            let times: Vec<u8> = items.iter().flat_map(|item| item.time.to_le_bytes()).collect();
            e.array(head + 20, &times);
        }
        e.columns(head + abi::BATCH_SIZE as usize, &types, &rows);
        e.close();
    }

    fn encode_state(&mut self, e: &mut Encoder, r: &Running, id: usize, state: &StateStore) {
        let columns = state.all();
        let (mut status, mut rows, mut start) = (Vec::new(), Vec::new(), vec![0]);
        for name in &r.names {
            let mut cell = state.cells.get(name);
            let mut s = if cell.is_some() { abi::STATUS_INLINE } else { abi::STATUS_ABSENT };
            if self.shaken() && self.draw(4) == 0 {
                (s, cell) = (abi::STATUS_ASK, None);
            }
            status.push(s as u8);
            match cell {
                Some(cell) => rows.extend(cell.iter().map(|stored| stored.row.clone())),
                None if state.kind == abi::STATE_VALUE => rows.push(vec![Datum::Null; columns.len()]),
                None => {}
            }
            start.push(rows.len());
        }
        let head = [r.names.len(), state.kind.0 as usize, columns.len(), nodes(&columns)];
        let at = e.open(abi::SECTION_STATE, id, abi::STATE_SIZE, nodes(&columns), &head);
        e.array(at + 16, &status);
        if state.kind != abi::STATE_VALUE {
            e.array(at + 20, &u32s(start.into_iter()));
            e.put_u32(at + 24, rows.len() as u32);
        }
        e.columns(at + abi::STATE_SIZE as usize, &columns, &rows);
        e.close();
    }

    /// The rows that a port emitted since the last call, as the columns of `R` by name. `R` takes them as an operator takes an input: it
    /// may leave columns out, whole numbers widen, and a column that may be null needs an `Option`. A field that takes the event time gets
    /// the row's. It panics where the types are others.
    #[track_caller]
    pub fn rows<R: Row>(&mut self, port: &str) -> Vec<R::View<'static>> {
        let list = fields::<R>();
        let mut w = self.world.borrow_mut();
        let Some(at) = w.descriptor.outputs.iter().position(|o| o.name == port) else {
            panic!("the operator has no output port {port}")
        };
        let schema = w.descriptor.outputs[at].schema.clone();
        if let Err(why) = fit(&list, &schema) {
            panic!("the rows of port {port}: {why}");
        }
        let read = |e: world::Emitted| {
            let value = |f: &Field| match schema.iter().position(|column| column.name == f.name) {
                Some(i) if f.source == Source::Column => fitted(f, e.row[i].clone()),
                _ => Datum::Int(e.time),
            };
            decoded::<R>(&list.iter().map(value).collect::<Values>())
        };
        std::mem::take(&mut w.outputs[at]).into_iter().map(read).collect()
    }

    /// The items that were rejected since the last call.
    pub fn rejected(&mut self) -> Vec<Rejected> {
        std::mem::take(&mut self.rejected)
    }

    /// The lines that the operator logged since the last call.
    pub fn logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.world.borrow_mut().logs)
    }

    /// The value of a counter or gauge, 0 where it was never reported.
    pub fn metric(&self, name: &str) -> f64 {
        self.world.borrow().metrics.get(name).copied().unwrap_or_default()
    }

    /// The value state of a key, given as the values of its columns in their order: `h.value::<i64>("count", &["ann".into()])`.
    #[track_caller]
    pub fn value<T: Row>(&self, state: &str, key: &[Datum]) -> Option<T::View<'static>> {
        self.cell(abi::STATE_VALUE, state, key).1.first().map(|row| decoded::<T>(row))
    }

    /// The list state of a key.
    #[track_caller]
    pub fn list<T: Row>(&self, state: &str, key: &[Datum]) -> Vec<T::View<'static>> {
        self.cell(abi::STATE_LIST, state, key).1.iter().map(|row| decoded::<T>(row)).collect()
    }

    /// The map state of a key, in the order of its keys.
    #[track_caller]
    pub fn map<K: Row, V: Row>(&self, state: &str, key: &[Datum]) -> Vec<(K::View<'static>, V::View<'static>)> {
        let (columns, rows) = self.cell(abi::STATE_MAP, state, key);
        rows.iter().map(|row| (decoded::<K>(&row[..columns]), decoded::<V>(&row[columns..]))).collect()
    }

    /// The columns of a state's map key, and the rows of a cell.
    #[track_caller]
    fn cell(&self, kind: abi::StateKind, state: &str, key: &[Datum]) -> (usize, Vec<Values>) {
        assert_eq!(key.len(), self.request.key.len(), "the columns of a key");
        let w = self.world.borrow();
        let Some(state) = w.store.states.iter().find(|s| s.name == state) else { panic!("the operator has no state {state}") };
        assert!(state.kind == kind, "state {} is of another kind", state.name);
        let rows = state.cells.get(&key_name(key)).into_iter().flatten();
        (state.key_types.len(), rows.map(|stored| stored.row.clone()).collect())
    }

    /// The timers of a key, in the order in which they will fire.
    pub fn timers(&self, key: &[Datum]) -> Vec<SetTimer> {
        let w = self.world.borrow();
        let list = w.store.timers.get(&key_name(key)).into_iter().flatten();
        let set = list.map(|t| SetTimer {
            name: w.descriptor.timers[t.name].name.clone(),
            processing: u32::from(t.domain) == abi::DOMAIN_PROCESSING,
            time: Timestamp(t.time),
            tag: t.tag.clone(),
        });
        set.collect()
    }
}

impl Drop for Harness {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.rejected.is_empty(), "rejected: {:#?}", self.rejected);
        }
    }
}

fn open(
    entry: &Entry,
    request: &abi::OpenRequest,
    world: &Rc<RefCell<World>>,
) -> Result<(Box<dyn Runs>, abi::Descriptor), String> {
    crate::operator::open(&[*entry], request.clone(), Rc::new(TestHost(world.clone()))).map_err(text)
}

fn text(p: OpenProblem) -> String {
    match (p.param, p.column.as_ref().and_then(|c| c.split_once('.'))) {
        (Some(param), _) => format!("parameter {param}: {}", p.message),
        (_, Some((port, column))) => format!("port {port}, column {column}: {}", p.message),
        _ => p.message,
    }
}

/// Why rows of a port's columns cannot be given to fields.
fn fit(list: &[Field], port: &[abi::Field]) -> Result<(), String> {
    for f in list.iter().filter(|f| f.source == Source::Column) {
        let Some(c) = port.iter().find(|c| c.name == f.name) else {
            let names: Vec<&str> = port.iter().map(|c| c.name.as_str()).collect();
            return Err(format!("there is no column {}, only {}", f.name, names.join(", ")));
        };
        if !ColumnType::parse(&c.r#type).is_some_and(|t| row::takes(f.r#type(), t)) {
            return Err(format!("column {} is of type {}, its field takes {}", c.name, c.r#type, f.r#type()));
        }
        if c.nullable && !f.nullable {
            return Err(format!("column {} may be null, so its field must be an Option", c.name));
        }
    }
    Ok(())
}

/// A value of a column as its field has it.
fn fitted(f: &Field, value: Datum) -> Datum {
    match (f.r#type.base, value) {
        (_, Datum::List(list)) => Datum::List(list.into_iter().map(|v| fitted(f, v)).collect()),
        (abi::F64, Datum::Int(v)) => Datum::Float(v as f64),
        (abi::BINARY, Datum::Text(v)) => Datum::Bytes(v.into_bytes()),
        (_, value) => value,
    }
}

#[track_caller]
fn decoded<R: Row>(data: &[Datum]) -> R::View<'static> {
    R::from_data(data).unwrap_or_else(|| panic!("{data:?} does not fit the row's types"))
}

fn u32s(list: impl Iterator<Item = usize>) -> Vec<u8> {
    list.flat_map(|n| (n as u32).to_le_bytes()).collect()
}

fn encode_timers(e: &mut Encoder, r: &Running) {
    let timers: Vec<&Timer> = r.items.iter().filter_map(|i| i.timer.as_ref()).collect();
    let mut ends = vec![0];
    for t in &timers {
        ends.push(ends[ends.len() - 1] + t.tag.len());
    }
    let tags: Vec<u8> = timers.iter().flat_map(|t| t.tag.bytes()).collect();
    let head = e.open(abi::SECTION_TIMERS, 0, abi::TIMERS_SIZE, 0, &[timers.len()]);
    e.array(head + 8, &u32s(r.key_of.iter().copied()));
    e.array(head + 12, &timers.iter().flat_map(|t| (t.name as u16).to_le_bytes()).collect::<Vec<_>>());
    e.array(head + 16, &timers.iter().map(|t| t.domain).collect::<Vec<_>>());
    e.array(head + 24, &timers.iter().flat_map(|t| t.time.to_le_bytes()).collect::<Vec<_>>());
    e.array(head + 28, &u32s(ends.into_iter()));
    e.array(head + 32, &tags);
    e.put_u32(head + 36, tags.len() as u32);
    e.close();
}
