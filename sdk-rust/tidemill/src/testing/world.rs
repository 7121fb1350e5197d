//! What the operator's host functions see, and what its answers change.

use super::decode::{block, broken, Decoded, Decoder, SectionAt};
use super::encode::{self, nodes};
use super::store::{compare, types, KeyName, StateStore, Store, Stored, Timer, Values};
use crate::column_type::ColumnType;
use crate::host::Host;
use crate::testing_value::Datum;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use tidemill_sys::abi;

#[derive(Default)]
pub struct World {
    pub store: Store,
    pub descriptor: abi::Descriptor,
    pub running: Running,
    pub outputs: Vec<Vec<Emitted>>, // by port
    pub metrics: BTreeMap<String, f64>,
    pub logs: Vec<String>,
    pub watermark: i64,
    pub now: i64,
}

/// A row, a timer, or a callback.
#[derive(Clone, Default)]
pub struct Item {
    pub port: Option<String>,
    pub row: Values, // in the order of the port's schema
    pub timer: Option<Timer>,
    pub time: i64, // event time
}

/// The frame under way.
#[derive(Default)]
pub struct Running {
    pub kind: abi::Kind,
    pub sequence: u64,
    pub items: Vec<Item>,
    pub keys: Vec<Values>,
    pub key_of: Vec<usize>,
    pub names: Vec<KeyName>, // of the keys
    pub applied: Vec<Option<StateStore>>,
    pub scans: Vec<Option<OpenScan>>,
}

/// The types of a map's entries, and those to come, the next one last.
pub type OpenScan = (Vec<ColumnType>, Vec<Values>);

/// So many scans may be open at once.
const SCANS_MAX: usize = 64;

/// An output row with its event time.
pub struct Emitted {
    pub row: Values,
    pub time: i64,
}

/// Entries of a block of a scan: few, so that a small test has several blocks.
const SCAN_ROWS: usize = 3;

/// The host of an operator under test.
pub struct TestHost(pub Rc<RefCell<World>>);

impl World {
    /// A state as the frame sees it by now.
    fn state(&self, id: u32) -> &StateStore {
        let id = id as usize;
        self.running.applied.get(id).and_then(Option::as_ref).unwrap_or(&self.store.states[id])
    }

    fn rows(&self, id: u32, key: u32) -> &[Stored] {
        self.state(id).cells.get(&self.running.names[key as usize]).map_or(&[], Vec::as_slice)
    }

    /// Applies a STATE section to states.
    fn change_states(states: &mut StateStore, names: &[KeyName], d: Decoder<'_>, at: usize, now: i64) {
        let (n, all) = (d.u32(at), states.all());
        let (got, want) = ([4, 8, 12].map(|field| d.u32(at + field)), [states.kind.0 as usize, all.len(), nodes(&all)]);
        if got != want {
            broken(format!("changes of kind, columns and nodes {got:?} to {}, want {want:?}", states.name));
        }
        let (keys, ops) = (d.u32s(at + 16, n), d.array(at + 20, n, 1));
        for (i, row) in d.rows(at + abi::STATE_SIZE as usize, &all, n).into_iter().enumerate() {
            states.apply(&names[keys[i]], d.0[ops + i].into(), row, now);
        }
    }

    /// Has an answer take effect: how many items were consumed, or the message and item of an error.
    pub fn take(&mut self, answer: &[u8]) -> Result<usize, (String, Option<usize>)> {
        let d = Decoder(answer);
        let mut consumed = self.running.items.len();
        let sections = if answer.is_empty() { Vec::new() } else { d.sections(self.running.kind, self.running.sequence) };
        for s in &sections {
            match s.id {
                abi::SECTION_ERROR => {
                    let text = d.bytes(s.at + abi::ERROR_SIZE as usize, d.u32(s.at + 8));
                    let item = Some(d.u32(s.at + 4)).filter(|i| *i < consumed);
                    return Err((String::from_utf8_lossy(text).into_owned(), item));
                }
                abi::SECTION_CONSUMED => {
                    let n = d.u32(s.at);
                    if n < 1 || n >= consumed {
                        broken(format!("{n} of {consumed} items consumed"));
                    }
                    consumed = n;
                }
                _ => {}
            }
        }
        for item in &self.running.items[..consumed] {
            if let Some(t) = &item.timer {
                self.store.unset(t);
            }
        }
        for (state, applied) in self.store.states.iter_mut().zip(std::mem::take(&mut self.running.applied)) {
            if let Some(applied) = applied {
                *state = applied;
            }
        }
        for s in &sections {
            match s.id {
                abi::SECTION_BATCH => self.take_rows(d, s, consumed),
                abi::SECTION_STATE => {
                    Self::change_states(&mut self.store.states[s.index], &self.running.names, d, s.at, self.now);
                }
                abi::SECTION_TIMERS => self.take_timers(d, s.at),
                abi::SECTION_METRICS => self.take_metrics(d, s.at),
                _ => {}
            }
        }
        Ok(consumed)
    }

    fn take_rows(&mut self, d: Decoder<'_>, s: &SectionAt, consumed: usize) {
        let out = &self.descriptor.outputs[s.index];
        let (n, flags) = (d.u32(s.at), d.u32(s.at + 12) as u32);
        let items = if flags & abi::BATCH_IDENTITY == 0 {
            d.u32s(s.at + 16, n)
        } else if n == consumed {
            (0..n).collect()
        } else {
            broken(format!("{n} rows for {consumed} items with the flag IDENTITY"))
        };
        let rows = d.columns(s.at + abi::BATCH_SIZE as usize, &types(&out.schema), n);
        for (row, item) in rows.into_iter().zip(items) {
            let emitted = self.fill(out, row, item, consumed);
            self.outputs[s.index].push(emitted);
        }
    }

    /// Fills in what an output row takes over from its item.
    fn fill(&self, out: &abi::BindOutput, row: Vec<Decoded>, item: usize, consumed: usize) -> Emitted {
        let belongs = item != abi::ITEM_NONE as usize && !self.running.items.is_empty();
        if belongs && item >= consumed {
            broken(format!("a row of item {item}, {consumed} were consumed"));
        }
        let of = self.running.items.get(item);
        let mut e = Emitted { row: Vec::new(), time: self.watermark };
        if let (true, Some(of), abi::KIND_BATCH | abi::KIND_TIMERS) = (belongs, of, self.running.kind) {
            e.time = of.time;
        }
        for (field, v) in out.schema.iter().zip(row) {
            let v = match v {
                Decoded::Value(Datum::Null) if !field.nullable => {
                    broken(format!("null in column {} of {}", field.name, out.name))
                }
                Decoded::Value(v) => v,
                Decoded::Key(i) => self.running.keys[self.running.key_of[item]][i].clone(),
                Decoded::Input(i) => match of {
                    Some(of) if self.running.kind == abi::KIND_BATCH => of.row[i].clone(),
                    _ => broken(format!("port {} passes input columns through where there is no row", out.name)),
                },
            };
            if let (true, Datum::Int(time)) = (field.name == out.event_time, &v) {
                e.time = *time;
            }
            e.row.push(v);
        }
        e
    }

    fn take_timers(&mut self, d: Decoder<'_>, at: usize) {
        let n = d.u32(at);
        let (keys, ends) = (d.u32s(at + 8, n), d.u32s(at + 28, n + 1));
        let (names, domains) = (d.array(at + 12, n, 2), d.array(at + 16, n, 1));
        let (ops, times) = (d.array(at + 20, n, 1), d.array(at + 24, n, 8));
        let tags = d.array(at + 32, d.u32(at + 36), 1);
        for i in 0..n {
            let tag = d.bytes(tags + ends[i], ends[i + 1] - ends[i]);
            let t = Timer {
                key: self.running.names[keys[i]].clone(),
                name: d.u16(names + 2 * i),
                domain: d.0[domains + i],
                time: d.i64(times + 8 * i),
                tag: String::from_utf8(tag.to_vec()).unwrap_or_else(|e| broken(e.to_string())),
            };
            let reached = if u32::from(t.domain) == abi::DOMAIN_PROCESSING { self.now } else { self.watermark };
            self.store.change(&self.descriptor.timers[t.name], t, d.0[ops + i].into(), reached);
        }
    }

    fn take_metrics(&mut self, d: Decoder<'_>, at: usize) {
        for i in 0..d.u32(at) {
            let entry = at + (abi::METRICS_SIZE + i as u32 * abi::METRIC_ENTRY_SIZE) as usize;
            let bind = &self.descriptor.metrics[d.u16(entry)];
            let bits = d.i64(entry + 8) as u64;
            let value = self.metrics.entry(bind.name.clone()).or_default();
            *value = if bind.kind == abi::METRIC_COUNTER { *value + bits as f64 } else { f64::from_bits(bits) };
        }
    }
}

/// Writes an answer where it fits; its length.
fn answer(bytes: &[u8], out: &mut [u8]) -> i32 {
    if let Some(to) = out.get_mut(..bytes.len()) {
        to.copy_from_slice(bytes);
    }
    bytes.len() as i32
}

impl Host for TestHost {
    fn log(&self, _: u32, line: &str) {
        self.0.borrow_mut().logs.push(line.into());
    }

    fn state_get(&self, id: u32, key: u32, map_key: &[u8], out: &mut [u8]) -> i32 {
        let world = self.0.borrow();
        let (state, rows) = (world.state(id), world.rows(id, key));
        if rows.is_empty() {
            return -1;
        }
        if state.kind != abi::STATE_MAP {
            let rows: Vec<Values> = rows.iter().map(|stored| stored.row.clone()).collect();
            return answer(&encode::block(&state.types, &rows), out);
        }
        match state.find(rows, &block(map_key, &state.key_types)[0]) {
            Ok(i) => answer(&encode::block(&state.types, &[rows[i].row[state.key_types.len()..].to_vec()]), out),
            Err(_) => -1,
        }
    }

    fn scan_open(&self, id: u32, key: u32, bounds: &[u8], flags: u32) -> i32 {
        let mut world = self.0.borrow_mut();
        let state = world.state(id);
        let mut rows: Vec<Values> = world.rows(id, key).iter().map(|stored| stored.row.clone()).collect();
        let columns = state.key_types.len();
        if flags & (abi::SCAN_LOW | abi::SCAN_HIGH) != 0 {
            let mut limits = block(bounds, &state.key_types).into_iter();
            if let Some(low) = limits.next().filter(|_| flags & abi::SCAN_LOW != 0) {
                rows.retain(|row| compare(&row[..columns], &low).is_ge());
            }
            if let Some(high) = limits.next().filter(|_| flags & abi::SCAN_HIGH != 0) {
                rows.retain(|row| compare(&row[..columns], &high).is_lt());
            }
        }
        if flags & abi::SCAN_DESCENDING == 0 {
            rows.reverse(); // the next entries are taken from the end
        }
        let open = Some((state.all(), rows));
        let scans = &mut world.running.scans;
        let handle = scans.iter().position(Option::is_none).unwrap_or(scans.len());
        if handle == SCANS_MAX {
            broken(format!("more than {SCANS_MAX} scans are open at once"));
        }
        scans.resize_with(scans.len().max(handle + 1), || None);
        scans[handle] = open;
        handle as i32
    }

    fn scan_next(&self, handle: i32, out: &mut [u8]) -> i32 {
        let mut world = self.0.borrow_mut();
        let scan = &mut world.running.scans[handle as usize];
        let Some((types, rows)) = scan else { broken(format!("scan {handle} is not open")) };
        if out.is_empty() {
            *scan = None;
            return 0;
        }
        let mut n = rows.len().min(SCAN_ROWS);
        loop {
            let next: Vec<Values> = rows.iter().rev().take(n).cloned().collect();
            let bytes = encode::block(types, &next);
            if bytes.len() <= out.len() {
                rows.truncate(rows.len() - n);
                if n == 0 {
                    *scan = None;
                }
                return answer(&bytes, out);
            }
            if n <= 1 {
                return -(bytes.len() as i32);
            }
            n -= 1;
        }
    }

    fn apply(&self, frame: &[u8]) {
        let mut world = self.0.borrow_mut();
        let d = Decoder(frame);
        for s in d.sections(world.running.kind, world.running.sequence) {
            if s.id != abi::SECTION_STATE {
                broken(format!("section {} in state_apply", s.id.0));
            }
            let World { store, running, now, .. } = &mut *world;
            running.applied.resize_with(store.states.len(), || None);
            let state = running.applied[s.index].get_or_insert_with(|| store.states[s.index].clone());
            World::change_states(state, &running.names, d, s.at, *now);
        }
    }
}
