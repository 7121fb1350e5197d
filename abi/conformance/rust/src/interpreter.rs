//! The operators.

use crate::reader::Reader;
use crate::{Amount, DrawnRow, InRow, KeyRow, MoreRow, OwnKey, Pair, PairKey, PassedRow, Record, TimedRow, ValuesRow};
use tidemill::prelude::*;

/// What the interpreter knows of the row, timer or callback under way.
#[derive(Default)]
struct Item {
    kind: i64, // as command clock tells it
    keyed: bool,
    record: Option<Record>, // of a row
    time: Option<Timestamp>,
    tag: Option<String>,
    steps: u32,
    over: bool, // the budget is used up
    passed: Vec<i64>,
}

/// How many steps an item may take.
const BUDGET: u32 = 256;

impl Item {
    fn of_in(record: Record, time: Timestamp) -> Item {
        Item { keyed: true, record: Some(record), time: Some(time), ..Item::default() }
    }

    fn of_more(large: i64, text: Option<&str>, time: Timestamp) -> Item {
        let record = Record { large, text: text.map(Into::into), ..Record::default() };
        Item { kind: 1, keyed: true, record: Some(record), time: Some(time), ..Item::default() }
    }

    /// Takes a step from the budget.
    fn spend(&mut self) -> bool {
        self.over |= self.steps == BUDGET;
        self.steps += !self.over as u32;
        !self.over
    }
}

/// What both operators have.
#[derive(Operator)]
struct Parts {
    /// program of the watermark callback, in hexadecimal
    #[param(name = "on_watermark", default = String::new())]
    at_watermark: String,
    /// program of the end callback, in hexadecimal
    #[param(name = "on_end", default = String::new())]
    at_end: String,

    key: Key<KeyRow<'static>>,
    values: Out<ValuesRow<'static>>,
    timed: Out<TimedRow>,
    drawn: Out<DrawnRow<'static>>,

    cell: Value<Record>,
    #[tm(prefetch = "none")]
    plain: Value<Record>,
    #[tm(prefetch = "in", ttl = "100ms")]
    brief: Value<Record>,
    items: List<Record>,
    #[tm(prefetch)]
    near: List<Record>,
    #[tm(prefetch = "in", ttl = "250ms")]
    fading: List<Record>,
    words: Map<&'static str, Record>,
    #[tm(prefetch)]
    close: Map<&'static str, Record>,
    #[tm(prefetch = "in", ttl = "1s")]
    mist: Map<&'static str, Record>,
    #[tm(prefetch = "in")]
    pairs: Map<Pair<'static>, i64>,
    programs: Map<&'static str, Vec<u8>>,

    event: Timer,
    #[tm(many)]
    event_many: Timer,
    #[tm(drop)]
    event_drop: Timer,
    #[tm(many, drop)]
    event_many_drop: Timer,
    #[tm(processing)]
    clock: Timer,
    #[tm(processing, many)]
    clock_many: Timer,
    #[tm(processing, drop)]
    clock_drop: Timer,
    #[tm(processing, many, drop)]
    clock_many_drop: Timer,

    counted: Counter,
    gauged: Gauge,
    context: Context,
}

/// How a map's keys are read, borrowed and shown, and what it keeps of a record.
trait Entry {
    /// A key that owns its texts.
    type Key;
    /// A key as the map takes it.
    type View<'a>: Copy;
    /// A value.
    type Value: Default;
    fn key(r: &mut Reader<'_>) -> Self::Key;
    fn view(key: &Self::Key) -> Self::View<'_>;
    fn name(key: Self::View<'_>) -> String;
    fn keep(record: Record) -> Self::Value;
    fn show(value: Self::Value) -> Record;
    fn number(value: &mut Self::Value) -> &mut i64;
}

/// An entry of words, close or mist.
struct Word;

impl Entry for Word {
    type Key = String;
    type View<'a> = &'a str;
    type Value = Record;
    fn key(r: &mut Reader<'_>) -> String {
        r.text()
    }
    fn view(key: &String) -> &str {
        key
    }
    fn name(key: &str) -> String {
        key.into()
    }
    fn keep(record: Record) -> Record {
        record
    }
    fn show(value: Record) -> Record {
        value
    }
    fn number(value: &mut Record) -> &mut i64 {
        &mut value.large
    }
}

/// An entry of pairs.
struct PairEntry;

impl Entry for PairEntry {
    type Key = PairKey;
    type View<'a> = Pair<'a>;
    type Value = i64;
    fn key(r: &mut Reader<'_>) -> PairKey {
        r.pair()
    }
    fn view(k: &PairKey) -> Pair<'_> {
        Pair { small: k.small, amount: k.amount, flag: k.flag, day: k.day, at: k.at, text: &k.text }
    }
    fn name(k: Pair<'_>) -> String {
        format!("{},{},{},{},{},{}", k.small, k.amount, k.flag as u8, k.day.0, k.at.0, k.text)
    }
    fn keep(record: Record) -> i64 {
        record.large
    }
    fn show(value: i64) -> Record {
        Record { large: value, ..Record::default() }
    }
    fn number(value: &mut i64) -> &mut i64 {
        value
    }
}

/// The commands of one map.
macro_rules! map_commands {
    ($method:ident, $scan:ident, $map:ident, $entry:ty) => {
        fn $method(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
            if n == 19 {
                return self.$scan(item, n, r);
            }
            let key = (n != 18).then(|| <$entry>::key(r));
            let record = (n == 15).then(|| r.record());
            let number = if n == 16 { r.number() } else { 0 };
            if !item.keyed {
                return;
            }
            let Some(key) = &key else { return self.$map.clear() };
            let view = <$entry>::view(key);
            match (n, record) {
                (14, _) => self.read(item, n, self.$map.get(view).map(<$entry>::show)),
                (_, Some(record)) => self.$map.set(view, <$entry>::keep(record)),
                (16, _) => {
                    let value = <$entry>::number(self.$map.edit(view));
                    *value = value.wrapping_add(number);
                }
                _ => self.$map.remove(view),
            }
        }

        fn $scan(&self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
            let mode = r.byte();
            let range = (mode & 3 >= 2).then(|| (<$entry>::key(r), <$entry>::key(r)));
            if !item.keyed {
                return;
            }
            let entries = match &range {
                Some((low, high)) => self.$map.range(<$entry>::view(low), <$entry>::view(high)),
                None if mode & 3 == 1 => self.$map.iter_rev(),
                None => self.$map.iter(),
            };
            for (i, (key, value)) in (0..).zip(entries) {
                if !self.observe(item, n, Some(i), Some(&<$entry>::name(key)), <$entry>::show(value)) {
                    return;
                }
                match mode >> 2 & 3 {
                    1 => self.$map.remove(key),
                    2 => self.$map.clear(),
                    3 => {
                        let mut value = self.$map.get(key).unwrap_or_default();
                        let number = <$entry>::number(&mut value);
                        *number = number.wrapping_add(1);
                        self.$map.set(key, value);
                    }
                    _ => {}
                }
                if i + 1 == (mode >> 4) as i64 {
                    return;
                }
            }
        }
    };
}

/// How many commands there are.
const COMMANDS: u8 = 28;

impl Parts {
    /// Runs a program of an item.
    fn run(&mut self, item: &mut Item, program: &[u8]) -> Result {
        let mut r = Reader::new(program);
        while !r.is_done() && item.spend() {
            let n = (r.byte() % COMMANDS) as i16;
            self.command(item, n, &mut r)?;
            if item.over {
                break;
            }
        }
        Ok(())
    }

    fn command(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) -> Result {
        match n {
            0..=5 => self.emits(item, n, r),
            6..=9 => self.value(item, n, r),
            10..=13 => self.list(item, n, r),
            14..=19 => match r.index(4) {
                0 => self.word(item, n, r),
                1 => self.near_word(item, n, r),
                2 => self.pair(item, n, r),
                _ => self.misty_word(item, n, r),
            },
            20..=22 => self.timer(item, n, r),
            _ => return self.other(item, n, r),
        }
        Ok(())
    }

    map_commands!(word, scan_words, words, Word);
    map_commands!(near_word, scan_close, close, Word);
    map_commands!(pair, scan_pairs, pairs, PairEntry);
    map_commands!(misty_word, scan_mist, mist, Word);

    fn own(&self, item: &Item) -> OwnKey<'_> {
        if !item.keyed {
            return OwnKey::default();
        }
        let key = self.key.get();
        OwnKey { k: key.k, g: Some(key.g) }
    }

    /// Emits a row to port values, and says whether the budget allowed it.
    fn observe(&self, item: &mut Item, command: i16, n: Option<i64>, name: Option<&str>, record: Record) -> bool {
        if !item.spend() {
            return false;
        }
        self.values.emit(ValuesRow { key: self.own(item), command, n, name, record });
        true
    }

    /// Emits what was read.
    fn read(&self, item: &mut Item, n: i16, record: Option<Record>) {
        self.observe(item, n, Some(record.is_some() as i64), None, record.unwrap_or_default());
    }

    fn emits(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
        match n {
            0 => {
                self.observe(item, n, None, None, r.record());
            }
            1 => {
                if let Some(record) = item.record.clone() {
                    self.observe(item, n, None, None, record);
                }
            }
            2 => {
                let number = r.number();
                if item.kind == 0 && item.record.is_some() && item.spend() {
                    item.passed.push(number);
                }
            }
            3 => {
                let (due, number) = (r.time(), r.number());
                if item.keyed && item.spend() {
                    self.timed.emit(TimedRow { k: FromKey, g: FromKey, due, n: number });
                }
            }
            4 => {
                if item.spend() {
                    let number = (self.context.random() % 1000) as i64;
                    self.drawn.emit(DrawnRow { key: self.own(item), number });
                }
            }
            _ => {
                let (watermark, at) = (self.context.watermark().0, self.context.processing_time());
                let record = Record { large: watermark, at, zoned: item.time, ..Record::default() };
                let tag = item.tag.clone();
                self.observe(item, n, Some(item.kind), tag.as_deref(), record);
            }
        }
    }

    fn value(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
        let which = r.index(3);
        let record = (n == 7).then(|| r.record());
        let number = if n == 8 { r.number() } else { 0 };
        if !item.keyed {
            return;
        }
        let value = match which {
            0 => &mut self.cell,
            1 => &mut self.plain,
            _ => &mut self.brief,
        };
        match (n, record) {
            (6, _) => {
                let record = value.get();
                self.read(item, n, record);
            }
            (_, Some(record)) => value.set(record),
            (8, _) => {
                let record = value.edit();
                record.large = record.large.wrapping_add(number);
            }
            _ => value.clear(),
        }
    }

    fn list(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
        let which = r.index(3);
        let record = (n == 12).then(|| r.record());
        if !item.keyed {
            return;
        }
        let list = [&self.items, &self.near, &self.fading][which];
        match (n, record) {
            (10, _) => {
                for (i, record) in (0..).zip(list.iter()) {
                    if !self.observe(item, n, Some(i), None, record) {
                        return;
                    }
                }
            }
            (11, _) => {
                self.observe(item, n, Some(list.len() as i64), None, Record::default());
            }
            (_, Some(record)) => list.append(record),
            _ => list.clear(),
        }
    }

    fn timer(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) {
        let timer = match r.index(8) {
            0 => &self.event,
            1 => &self.event_many,
            2 => &self.event_drop,
            3 => &self.event_many_drop,
            4 => &self.clock,
            5 => &self.clock_many,
            6 => &self.clock_drop,
            _ => &self.clock_many_drop,
        };
        let at = if n == 21 { Timestamp(0) } else { r.time() };
        let tag = r.word();
        let program = if n == 20 { r.program() } else { &[] };
        if !item.keyed {
            return;
        }
        match n {
            20 => {
                self.programs.set(&tag, program.to_vec());
                if tag.is_empty() {
                    timer.set(at);
                } else {
                    timer.set_tag(at, &tag);
                }
            }
            21 if tag.is_empty() => timer.delete(),
            21 => timer.delete_tag(&tag),
            _ => timer.delete_at(at, &tag),
        }
    }

    fn other(&mut self, item: &mut Item, n: i16, r: &mut Reader<'_>) -> Result {
        match n {
            23 => {
                let level = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error][r.index(5)];
                self.context.log(level, &r.number().to_string());
            }
            24 => self.counted.add(r.byte() as u64),
            25 => self.gauged.set(r.real()),
            26 => {
                let kind = r.byte();
                return fail(kind, &r.text());
            }
            _ => {
                let times = 1 + r.index(8);
                let program = r.program();
                for _ in 0..times {
                    self.run(item, program)?;
                    if item.over {
                        break;
                    }
                }
            }
        }
        Ok(())
    }

    fn fired(&mut self, name: i64, fired: Fired<'_>) -> Result {
        let program = self.programs.get(fired.tag).unwrap_or_default();
        let mut item =
            Item { kind: 2 + name, keyed: true, time: Some(fired.time), tag: Some(fired.tag.into()), ..Item::default() };
        self.run(&mut item, &program)
    }

    fn callback(&mut self, kind: i64, program: &str) -> Result {
        self.run(&mut Item { kind, ..Item::default() }, &decoded(program)?)
    }

    /// Refuses parameters that are no programs.
    fn check(&self) -> Result {
        decoded(&self.at_watermark).map_err(|e| Error::param("on_watermark", e.to_string()))?;
        decoded(&self.at_end).map_err(|e| Error::param("on_end", e.to_string()))?;
        Ok(())
    }
}

/// The bytes of hexadecimal digits.
fn decoded(digits: &str) -> Result<Vec<u8>> {
    let digit = |c: char| c.to_digit(16).map(|d| d as u8).ok_or(Error::new(format!("{c:?} is no hexadecimal digit")));
    let digits: Vec<u8> = digits.chars().map(digit).collect::<Result<_>>()?;
    Ok(digits.chunks(2).map(|pair| pair.iter().fold(0, |b, d| b << 4 | d)).collect())
}

fn fail(kind: u8, text: &str) -> Result {
    match kind % 16 {
        0..=3 => Err(Error::new(format!("refused: {text}"))),
        4..=5 => panic!("refused: {text}"),
        6 => loop {
            std::hint::black_box(());
        },
        7 => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1u8; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        _ => Ok(()),
    }
}

/// An operator: what takes its rows, and what both have.
macro_rules! operator {
    ($operator:ident, $doc:literal, $($rows:tt)+) => {
        #[operator(doc = $doc)]
        impl $operator {
            $($rows)+

            #[on_open]
            fn open(&mut self) -> Result {
                self.parts.check()
            }

            #[on_watermark]
            fn watermark(&mut self) -> Result {
                let program = self.parts.at_watermark.clone();
                self.parts.callback(20, &program)
            }

            #[on_end]
            fn end(&mut self) -> Result {
                let program = self.parts.at_end.clone();
                self.parts.callback(21, &program)
            }

            #[on_fire(parts.event)]
            fn event(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(0, fired)
            }

            #[on_fire(parts.event_many)]
            fn event_many(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(1, fired)
            }

            #[on_fire(parts.event_drop)]
            fn event_drop(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(2, fired)
            }

            #[on_fire(parts.event_many_drop)]
            fn event_many_drop(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(3, fired)
            }

            #[on_fire(parts.clock)]
            fn clock(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(4, fired)
            }

            #[on_fire(parts.clock_many)]
            fn clock_many(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(5, fired)
            }

            #[on_fire(parts.clock_drop)]
            fn clock_drop(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(6, fired)
            }

            #[on_fire(parts.clock_many_drop)]
            fn clock_many_drop(&mut self, fired: Fired<'_>) -> Result {
                self.parts.fired(7, fired)
            }
        }
    };
}

/// Takes its rows one by one.
#[derive(Operator)]
pub struct Interpreter {
    #[tm(name = "in")]
    rows: In<InRow<'static>>,
    more: In<MoreRow<'static>>,
    #[tm(input = "in")]
    passed: Out<PassedRow>,
    #[tm(flatten)]
    parts: Parts,
}

operator! {
    Interpreter, "Runs the program that each row carries.",
    #[on_row(rows)]
    fn row(&mut self, row: InRow<'_>) -> Result {
        let mut item = Item::of_in(row.record, row.time);
        self.parts.run(&mut item, row.program)?;
        for n in item.passed {
            self.passed.emit(passed(n));
        }
        Ok(())
    }
    #[on_row(more)]
    fn more(&mut self, row: MoreRow<'_>) -> Result {
        self.parts.run(&mut Item::of_more(row.large, row.text, row.time), row.program)
    }
}

fn passed(n: i64) -> PassedRow {
    let of = FromInput;
    PassedRow {
        k: FromKey,
        g: FromKey,
        n,
        text: of,
        unread: of,
        moved: of,
        bytes: of,
        flag: of,
        single: of,
        tiny: of,
        amount: of,
        numbers: of,
        names: of,
        cost: cost(n),
        ramp: ramp(n),
    }
}

/// The amount of so many units of its last digit.
fn cost(n: i64) -> Amount {
    Amount::from_unscaled(n.into()).unwrap_or_default()
}

/// As many times n as its last two bits say.
fn ramp(n: i64) -> Vec<i64> {
    vec![n; (n & 3) as usize]
}

/// The columns of port in.
#[derive(Columns)]
pub struct InColumns<'a> {
    program: Binaries<'a>,
    flag: Bits<'a>,
    tiny: Nulls<'a, &'a [i8]>,
    small: &'a [i16],
    medium: Nulls<'a, &'a [i32]>,
    large: &'a [i64],
    single: Nulls<'a, &'a [f32]>,
    double: &'a [f64],
    day: Nulls<'a, &'a [Date]>,
    at: &'a [Timestamp],
    zoned: Nulls<'a, &'a [Timestamp]>,
    text: Nulls<'a, Texts<'a>>,
    bytes: Binaries<'a>,
    amount: Nulls<'a, &'a [Amount]>,
    numbers: Lists<'a, &'a [i64]>,
    names: Nulls<'a, Lists<'a, Texts<'a>>>,
    #[tm(event_time)]
    time: &'a [Timestamp],
}

/// The columns of port more: large comes as it is, because columns are not widened.
#[derive(Columns)]
pub struct MoreColumns<'a> {
    program: Binaries<'a>,
    large: &'a [i32],
    text: Texts<'a>,
    #[tm(event_time)]
    time: &'a [Timestamp], // there are none
}

/// The columns of port passed.
#[derive(Columns)]
pub struct PassedColumns<'a> {
    k: FromKey,
    g: FromKey,
    n: &'a [i64],
    text: FromInput,
    unread: FromInput,
    #[tm(from = "at")]
    moved: FromInput,
    bytes: FromInput,
    flag: FromInput,
    single: FromInput,
    tiny: FromInput,
    amount: FromInput,
    numbers: FromInput,
    names: FromInput,
    cost: &'a [Amount],
    ramp: Lists<'a, &'a [i64]>,
}

/// Takes its rows as columns, and emits to port passed as columns.
#[derive(Operator)]
pub struct Columnar {
    #[tm(name = "in")]
    rows: BatchIn<InColumns<'static>>,
    more: BatchIn<MoreColumns<'static>>,
    #[tm(input = "in")]
    passed: BatchOut<PassedColumns<'static>>,
    #[tm(flatten)]
    parts: Parts,
}

operator! {
    Columnar, "Does what interpreter does, by columns.",
    #[on_batch(rows)]
    fn rows(&mut self, c: InColumns<'_>, batch: Batch<'_>) -> Result {
        let (mut items, mut numbers) = (Vec::new(), Vec::new());
        for i in 0..batch.rows() {
            batch.select(i);
            let record = Record {
                flag: c.flag.get(i),
                tiny: at(&c.tiny, i),
                small: c.small[i],
                medium: at(&c.medium, i),
                large: c.large[i],
                single: at(&c.single, i),
                double: c.double[i],
                day: at(&c.day, i),
                at: c.at[i],
                zoned: at(&c.zoned, i),
                text: (!c.text.is_null(i)).then(|| c.text.column.get(i).into()),
                bytes: c.bytes.get(i).into(),
                amount: at(&c.amount, i),
                numbers: c.numbers.get(i).into(),
                names: names(&c.names, i),
            };
            let mut item = Item::of_in(record, c.time[i]);
            self.parts.run(&mut item, c.program.get(i))?;
            for n in item.passed {
                items.push(i as u32);
                numbers.push(n);
            }
        }
        let (mut lists, mut ramps) = (ListsBuf::default(), Vec::new());
        for n in &numbers {
            let ramp = ramp(*n);
            lists.push(ramp.len());
            ramps.extend(ramp);
        }
        let of = FromInput;
        self.passed.emit_for(
            &items,
            PassedColumns {
                k: FromKey,
                g: FromKey,
                n: &numbers,
                text: of,
                unread: of,
                moved: of,
                bytes: of,
                flag: of,
                single: of,
                tiny: of,
                amount: of,
                numbers: of,
                names: of,
                cost: &numbers.iter().map(|n| cost(*n)).collect::<Vec<_>>(),
                ramp: lists.lists(&ramps),
            },
        );
        Ok(())
    }
    #[on_batch(more)]
    fn more(&mut self, c: MoreColumns<'_>, batch: Batch<'_>) -> Result {
        for i in 0..batch.rows() {
            batch.select(i);
            let mut item = Item::of_more(c.large[i] as i64, Some(c.text.get(i)), c.time.get(i).copied().unwrap_or(Timestamp::NONE));
            self.parts.run(&mut item, c.program.get(i))?;
        }
        Ok(())
    }
}

/// Row i of the column names.
fn names(column: &Nulls<'_, Lists<'_, Texts<'_>>>, i: usize) -> Option<Vec<String>> {
    let words = column.column.range(i).map(|j| column.column.elements.get(j).into());
    (!column.is_null(i)).then(|| words.collect())
}

/// Row i of a column that may have nulls.
fn at<T: Copy>(column: &Nulls<'_, &[T]>, i: usize) -> Option<T> {
    (!column.is_null(i)).then(|| column.column[i])
}
