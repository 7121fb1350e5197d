//! The operator "program" runs one command a row on states and timers of every kind, and writes down what it reads. The test runs random
//! programs and compares all that it writes down, key by key, and all that it keeps, with a model that knows nothing of frames: maps of
//! the standard library, one command after another.

use std::collections::BTreeMap;
use tidemill::prelude::*;
use tidemill::testing::{Config, Harness};

#[derive(Row, Clone, Debug, PartialEq)]
struct Command {
    key: String,
    op: &'static str,
    n: i64,
    text: String,
    #[tm(event_time)]
    at: Timestamp,
}

/// What the operator reads of it.
#[derive(Row)]
struct Input<'a> {
    op: &'a str,
    n: i64,
    text: &'a str,
}

#[derive(Row)]
struct Note<'a> {
    key: FromKey,
    text: &'a str,
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Noted {
    key: String,
    text: String,
    #[tm(event_time)]
    at: Timestamp,
}

#[derive(Row)]
struct Other<'a> {
    #[tm(all)]
    row: FromInput,
    copy: &'a [u8],
}

/// A value of owned texts, so that it can be edited.
#[derive(Row, Clone, Debug, Default, PartialEq)]
struct Cell {
    n: i64,
    text: String,
    bytes: Vec<u8>,
    maybe: Option<i32>,
    price: Decimal<20, 4>,
    marks: Option<Vec<i64>>,
}

/// A value of borrowed texts and lists.
#[derive(Row, Clone, Copy, Debug, PartialEq)]
struct Lent<'a> {
    n: i64,
    text: &'a str,
    bytes: &'a [u8],
    maybe: Option<i32>,
    price: Decimal<20, 4>,
    marks: Option<&'a [i64]>,
}

#[derive(Row, Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part<'a> {
    n: i16,
    text: &'a str,
}

#[derive(Operator)]
struct Program {
    #[tm(name = "in")]
    input: In<Input<'static>>,
    notes: Out<Note<'static>>,
    others: Out<Other<'static>>,
    cell: Value<Cell>,
    #[tm(prefetch = "none")]
    count: Value<i64>,
    list: List<Lent<'static>>,
    #[tm(prefetch)]
    names: List<String>,
    map: Map<Part<'static>, Lent<'static>>,
    #[tm(prefetch = "in late")]
    small: Map<i64, String>,
    early: Timer,
    #[tm(many)]
    late: Timer,
    #[tm(drop)]
    once: Timer,
    #[tm(processing, many)]
    clock: Timer,
    notch: Counter,
    level: Gauge,
    context: Context,
}

fn maybe(n: i64) -> Option<i32> {
    (n % 3 != 0).then_some(n as i32)
}

fn price(n: i64) -> Decimal<20, 4> {
    Decimal::try_from(n * 98_765_432_109_876).expect("sixteen digits")
}

fn marks(n: i64, text: &str) -> Option<Vec<i64>> {
    (n % 5 != 0).then(|| (0..text.len() as i64 * 3).map(|i| n - i).collect())
}

fn cell(n: i64, text: &str) -> Cell {
    Cell { n, text: text.into(), bytes: format!("{text}!").into_bytes(), maybe: maybe(n), price: price(n), marks: marks(n, text) }
}

#[operator]
impl Program {
    #[on_row(input)]
    fn on_row(&mut self, c: Input<'_>) -> Result {
        self.notch.add(1);
        let key = Part { n: c.n as i16, text: c.text };
        let mut bytes = format!("{}!", c.text).into_bytes();
        let mut marks = marks(c.n, c.text);
        let value = Lent { n: c.n, text: c.text, bytes: &bytes, maybe: maybe(c.n), price: price(c.n), marks: marks.as_deref() };
        match c.op {
            "set" => self.cell.set(cell(c.n, c.text)),
            "edit" => {
                let e = self.cell.edit();
                e.n += c.n;
                e.text += c.text;
                e.marks.get_or_insert_default().push(c.n);
                *self.count.edit() += c.n;
            }
            "clear" => {
                self.cell.clear();
                self.count.clear();
            }
            "get" => self.note(&format!("{:?} {:?}", self.cell.get(), self.count.get())),
            "append" => {
                self.list.append(value);
                self.names.append(c.text.into());
                bytes[0] = b'?'; // what was written is a copy
                marks.iter_mut().flatten().for_each(|mark| *mark = 0);
            }
            "list" => self.list(),
            "drop" => {
                self.list.clear();
                if c.n % 2 == 0 {
                    self.names.clear();
                }
            }
            "put" => {
                self.map.set(key, value);
                self.small.set(c.n, c.text.into());
                bytes[0] = b'?';
                marks.iter_mut().flatten().for_each(|mark| *mark = 0);
            }
            "grow" => self.small.edit(c.n).push_str(c.text),
            "delete" => {
                self.map.remove(key);
                self.small.remove(c.n);
            }
            "look" => self.note(&format!("{:?} {:?}", self.map.get(key), self.small.get(c.n))),
            "wipe" => {
                self.map.clear();
                if c.n % 2 == 0 {
                    self.small.clear();
                }
            }
            "scan" => self.note(&self.scan(c.n)),
            "early" => self.early.set_tag(Timestamp(c.n), c.text),
            "late" => self.late.set(Timestamp(c.n)),
            "once" => self.once.set(Timestamp(c.n)),
            "clock" => self.clock.set_tag(Timestamp(c.n), c.text),
            "cancel" => {
                self.early.delete_tag(c.text);
                self.late.delete_at(Timestamp(c.n), "");
                if c.n % 4 == 0 {
                    self.clock.delete_tag(c.text);
                    self.once.delete();
                }
            }
            "pass" => {
                self.others.emit(Other { row: FromInput, copy: c.text.as_bytes() });
                self.level.set(c.n as f64);
            }
            "fail" => {
                self.note("nothing of this takes effect");
                self.cell.set(cell(0, "nor of this"));
                self.map.clear();
                self.scan(0);
                self.list.append(value);
                self.early.set(Timestamp(0));
                return Err(Error::new(format!("refused: {}", c.text)));
            }
            "panic" => {
                self.map.set(key, value);
                self.cell.edit().n = 1 / std::hint::black_box(0);
            }
            op => return Err(Error::new(format!("there is no {op}"))),
        }
        Ok(())
    }

    fn note(&self, text: &str) {
        self.notes.emit(Note { key: FromKey, text });
    }

    fn list(&self) {
        for v in self.list.iter().take(3) {
            self.list.append(v); // is not seen by this loop
        }
        let all: Vec<String> = self.list.iter().map(|v| format!("{v:?}")).chain(&self.names).collect();
        self.note(&format!("{} {} {}", self.list.len(), self.names.len(), all.join(",")));
    }

    /// Loops over both maps, changes them inside the loop, and looks into one loop from another.
    fn scan(&self, n: i64) -> String {
        let mut all = Vec::new();
        for (k, v) in &self.map {
            let inner = self.map.range(k, Part { n: k.n + 2, text: "" }).count();
            self.map.set(Part { n: k.n, text: &format!("{}'", k.text) }, v); // is not seen by the outer loop
            if k.n % 4 == 0 {
                self.map.remove(k);
            }
            all.push(format!("{k:?} {v:?} {inner}"));
        }
        for (k, v) in self.small.iter_rev() {
            all.push(format!("{k} {v}"));
            if k == n {
                break;
            }
        }
        all.join(",")
    }

    #[on_fire(early)]
    fn on_early(&mut self, fired: Fired<'_>) {
        if self.fired("early", fired) % 3 == 0 {
            self.late.set(Timestamp(fired.time.0 + 1)); // often due in the same advance
        }
    }

    #[on_fire(late)]
    fn on_late(&mut self, fired: Fired<'_>) -> Result {
        match self.fired("late", fired) {
            n if n % 5 == 0 => self.early.delete_tag("b"),
            n if n % 7 == 0 => return Err(Error::new("a timer is refused")),
            _ => {}
        }
        Ok(())
    }

    #[on_fire(once)]
    fn on_once(&mut self, fired: Fired<'_>) {
        self.fired("once", fired);
    }

    #[on_fire(clock)]
    fn on_clock(&mut self, fired: Fired<'_>) {
        self.fired("clock", fired);
    }

    fn fired(&mut self, name: &str, fired: Fired<'_>) -> i64 {
        self.note(&format!("{name} {} {}, watermark {}", fired.time.0, fired.tag, self.context.watermark().0));
        let n = *self.count.edit();
        self.count.set(n + 1);
        if let Some(v) = self.small.get(fired.time.0) {
            self.note(&format!("small {v}"));
        }
        n
    }
}

tidemill::operators!(Program);

/// The operator and its host in the plainest form.
#[derive(Default)]
struct Model {
    keys: BTreeMap<String, ModelKey>,
    watermark: i64,
    now: i64,
    notes: Vec<Noted>,
    passed: Vec<Command>,
    errors: Vec<String>,
    rows: i64,
    level: i64,
}

#[derive(Default)]
struct ModelKey {
    cell: Option<Cell>,
    count: Option<i64>,
    list: Vec<Cell>,
    names: Vec<String>,
    map: BTreeMap<(i16, String), Cell>,
    small: BTreeMap<i64, String>,
    timers: Vec<ModelTimer>,
}

/// In the order in which timers of a key fire.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ModelTimer {
    time: i64,
    name: usize,
    tag: String,
}

const TIMERS: [&str; 4] = ["early", "late", "once", "clock"];

fn lent(c: &Cell) -> Lent<'_> {
    Lent { n: c.n, text: &c.text, bytes: &c.bytes, maybe: c.maybe, price: c.price, marks: c.marks.as_deref() }
}

fn part(key: &(i16, String)) -> Part<'_> {
    Part { n: key.0, text: &key.1 }
}

impl Model {
    fn row(&mut self, c: &Command) {
        let k = self.keys.entry(c.key.clone()).or_default();
        let key = (c.n as i16, c.text.clone());
        let mut note = None;
        self.rows += 1;
        match c.op {
            "set" => k.cell = Some(cell(c.n, &c.text)),
            "edit" => {
                let e = k.cell.get_or_insert_with(Cell::default);
                e.n += c.n;
                e.text += &c.text;
                e.marks.get_or_insert_default().push(c.n);
                *k.count.get_or_insert(0) += c.n;
            }
            "clear" => (k.cell, k.count) = (None, None),
            "get" => note = Some(format!("{:?} {:?}", k.cell, k.count)),
            "append" => {
                k.list.push(cell(c.n, &c.text));
                k.names.push(c.text.clone());
            }
            "list" => {
                k.list.extend_from_within(..k.list.len().min(3));
                let all: Vec<String> = k.list.iter().map(|v| format!("{:?}", lent(v))).chain(k.names.iter().cloned()).collect();
                note = Some(format!("{} {} {}", k.list.len(), k.names.len(), all.join(",")));
            }
            "drop" => {
                k.list.clear();
                if c.n % 2 == 0 {
                    k.names.clear();
                }
            }
            "put" => {
                k.map.insert(key, cell(c.n, &c.text));
                k.small.insert(c.n, c.text.clone());
            }
            "grow" => k.small.entry(c.n).or_default().push_str(&c.text),
            "delete" => {
                k.map.remove(&key);
                k.small.remove(&c.n);
            }
            "look" => note = Some(format!("{:?} {:?}", k.map.get(&key).map(lent), k.small.get(&c.n))),
            "wipe" => {
                k.map.clear();
                if c.n % 2 == 0 {
                    k.small.clear();
                }
            }
            "scan" => note = Some(k.scan(c.n)),
            "early" | "clock" => k.set(c.op, c.n, &c.text, self.watermark),
            "late" | "once" => k.set(c.op, c.n, "", self.watermark),
            "cancel" => k.timers.retain(|t| match TIMERS[t.name] {
                "early" => t.tag != c.text,
                "late" => t.time != c.n,
                "clock" => c.n % 4 != 0 || t.tag != c.text,
                _ => c.n % 4 != 0,
            }),
            "pass" => {
                self.passed.push(c.clone());
                self.level = c.n;
            }
            "fail" | "panic" => {
                self.rows -= 1;
                let refused = format!("refused: {}", c.text);
                self.errors.push(if c.op == "fail" { refused } else { "attempt to divide by zero".into() });
            }
            op => panic!("there is no {op}"),
        }
        self.notes.extend(note.map(|text| Noted { key: c.key.clone(), text, at: c.at }));
    }

    /// Fires what is due of one key, one after another.
    fn fire(&mut self, processing: bool) {
        let reached = if processing { self.now } else { self.watermark };
        for (name, k) in &mut self.keys {
            loop {
                k.timers.sort();
                let due = |t: &ModelTimer| (TIMERS[t.name] == "clock") == processing && t.time <= reached;
                let Some(i) = k.timers.iter().position(due) else { break };
                let t = k.timers.remove(i);
                let n = k.count.unwrap_or(0);
                if TIMERS[t.name] == "late" && n % 5 != 0 && n % 7 == 0 {
                    self.errors.push("a timer is refused".into());
                    continue;
                }
                let mut texts = vec![format!("{} {} {}, watermark {}", TIMERS[t.name], t.time, t.tag, self.watermark)];
                texts.extend(k.small.get(&t.time).map(|v| format!("small {v}")));
                self.notes.extend(texts.into_iter().map(|text| Noted { key: name.clone(), text, at: Timestamp(t.time) }));
                k.count = Some(n + 1);
                match TIMERS[t.name] {
                    "early" if n % 3 == 0 => k.set("late", t.time + 1, "", self.watermark),
                    "late" if n % 5 == 0 => k.timers.retain(|t| t.name != 0 || t.tag != "b"),
                    _ => {}
                }
            }
        }
    }
}

impl ModelKey {
    fn set(&mut self, op: &str, time: i64, tag: &str, watermark: i64) {
        let name = TIMERS.iter().position(|t| *t == op).expect("a timer's name");
        let many = op == "late" || op == "clock";
        self.timers.retain(|old| old.name != name || old.tag != tag || many && old.time != time);
        if op != "once" || time > watermark {
            self.timers.push(ModelTimer { time, name, tag: tag.into() });
        }
    }

    fn scan(&mut self, n: i64) -> String {
        let mut all = Vec::new();
        for (key, v) in self.map.clone() {
            let low = (key.0, key.1.clone());
            let inner = self.map.range(low..(key.0 + 2, String::new())).count();
            self.map.insert((key.0, format!("{}'", key.1)), v.clone());
            if key.0 % 4 == 0 {
                self.map.remove(&key);
            }
            all.push(format!("{:?} {:?} {inner}", part(&key), lent(&v)));
        }
        for (k, v) in self.small.iter().rev() {
            all.push(format!("{k} {v}"));
            if *k == n {
                break;
            }
        }
        all.join(",")
    }
}

/// Random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d049bb133111eb);
        ((z ^ z >> 31) % n) as i64
    }
}

const OPS: &str =
    "set edit edit clear get get append append append list drop put put put put grow delete look look wipe scan scan \
    early early late late once once clock cancel pass pass fail panic";

fn run(seed: u64) {
    println!("seed {seed}");
    let mut r = Random(seed);
    let ops: Vec<&'static str> = OPS.split_whitespace().collect();
    let mut config = Config::new().key(["key"]).shake(seed).input::<Command>("in");
    if let Some(bytes) = [None, Some(20 << 10), Some(64 << 10)][seed as usize % 3] {
        config = config.frame_bytes(bytes);
    }
    let mut h = Harness::new::<Program>(config);
    let mut m = Model { watermark: Timestamp::NONE.0, ..Model::default() };
    for _ in 0..20 {
        let mut rows = Vec::new();
        for _ in 0..r.below(60) {
            let (key, letter) = (char::from(b'A' + r.below(4) as u8), char::from(b'a' + r.below(3) as u8));
            let (op, n) = (ops[r.below(ops.len() as u64) as usize], r.below(40) - 8);
            let text = letter.to_string().repeat(r.below(3) as usize);
            let c = Command { key: key.into(), op, n, text, at: Timestamp(r.below(100)) };
            m.row(&c);
            rows.push(c);
        }
        h.send("in", rows);
        m.fire(true);
        match r.below(3) {
            0 => {
                let to = r.below(60) - 20;
                h.advance_watermark(Timestamp(to));
                if to > m.watermark {
                    m.watermark = to;
                    m.fire(false);
                }
            }
            1 => {
                m.now = m.now.max(r.below(60));
                h.advance_processing_time(Timestamp(m.now));
                m.fire(true);
            }
            _ => {}
        }
    }
    m.watermark = Timestamp::END.0;
    h.end();
    m.fire(false);
    compare(h, m);
}

fn compare(mut h: Harness, mut m: Model) {
    let notes = h.rows::<Noted>("notes");
    for (key, want) in &mut m.keys {
        let of = |notes: &[Noted]| notes.iter().filter(|n| n.key == *key).cloned().collect::<Vec<_>>();
        let (got_notes, want_notes) = (of(&notes), of(&m.notes));
        for (i, w) in want_notes.iter().enumerate() {
            assert_eq!(got_notes.get(i), Some(w), "key {key}, note {i} of {} and {}", got_notes.len(), want_notes.len());
        }
        assert_eq!(got_notes.len(), want_notes.len(), "key {key}");
        let name = [key.as_str().into()];
        assert_eq!(h.value::<Cell>("cell", &name), want.cell, "key {key}");
        assert_eq!(h.value::<i64>("count", &name), want.count, "key {key}");
        assert_eq!(h.list::<Cell>("list", &name), want.list, "key {key}");
        assert_eq!(h.list::<String>("names", &name), want.names, "key {key}");
        let map: Vec<_> = want.map.iter().map(|(k, v)| (part(k), v.clone())).collect();
        assert_eq!(h.map::<Part<'_>, Cell>("map", &name), map, "key {key}");
        let small: Vec<_> = want.small.clone().into_iter().collect();
        assert_eq!(h.map::<i64, String>("small", &name), small, "key {key}");
        want.timers.sort();
        let timers = h.timers(&name).into_iter();
        let timers: Vec<(i64, String, String)> = timers.map(|t| (t.time.0, t.name, t.tag)).collect();
        let wanted = want.timers.iter().map(|t| (t.time, TIMERS[t.name].to_string(), t.tag.clone()));
        assert_eq!(timers, wanted.collect::<Vec<_>>(), "key {key}");
    }
    #[derive(Row, Debug, PartialEq)]
    struct Passed {
        #[tm(flatten)]
        command: Given,
        copy: Vec<u8>,
    }
    #[derive(Row, Debug, PartialEq)]
    struct Given {
        key: String,
        op: String,
        n: i64,
        text: String,
        #[tm(event_time)]
        at: Timestamp,
    }
    let passed = m.passed.into_iter().map(|c| {
        let copy = c.text.clone().into_bytes();
        Passed { command: Given { key: c.key, op: c.op.into(), n: c.n, text: c.text, at: c.at }, copy }
    });
    assert_eq!(h.rows::<Passed>("others"), passed.collect::<Vec<_>>());
    let mut messages = Vec::new();
    for r in h.rejected() {
        assert_eq!(r.place.is_some_and(|place| place.contains("tests/model.rs:")), r.message.contains("divide"), "{}", r.message);
        messages.push(r.message);
    }
    messages.sort();
    m.errors.sort();
    assert_eq!(messages, m.errors);
    assert_eq!((h.metric("notch"), h.metric("level")), (m.rows as f64, m.level as f64));
}

#[test]
fn programs_equal_the_model() {
    for seed in 0..30 {
        run(seed);
    }
}
