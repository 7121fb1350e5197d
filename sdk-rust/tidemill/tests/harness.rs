//! The same cases as those of the Go SDK's harness.

use std::time::Duration;
use tidemill::prelude::*;
use tidemill::testing::{Config, Datum, Harness, SetTimer};

/// Has a column of every type.
#[derive(Row, Clone, Debug, PartialEq)]
struct Kinds {
    bool: bool,
    i8: i8,
    i16: i16,
    i32: i32,
    i64: i64,
    f32: f32,
    f64: f64,
    day: Date,
    at: Timestamp,
    #[tm(tz)]
    zoned: Timestamp,
    text: String,
    bytes: Vec<u8>,
}

#[derive(Row, Clone, Debug, PartialEq, Default)]
struct NullableKinds {
    bool: Option<bool>,
    i8: Option<i8>,
    i16: Option<i16>,
    i32: Option<i32>,
    i64: Option<i64>,
    f32: Option<f32>,
    f64: Option<f64>,
    day: Option<Date>,
    at: Option<Timestamp>,
    text: Option<String>,
    bytes: Option<Vec<u8>>,
}

/// Takes narrower columns.
#[derive(Row, Clone, Debug, PartialEq)]
struct Wide {
    i8: i64,
    i16: i64,
    i32: i64,
    i64: i64,
    f32: f64,
    f64: f64,
    text: Vec<u8>,
    bool: Option<bool>,
}

#[derive(Row)]
struct Narrow {
    i8: i8,
    i16: i16,
    i32: i32,
    i64: i64,
    f32: f32,
    f64: i16,
    text: String,
    bool: bool,
}

#[operator]
fn kinds(row: Kinds) -> Kinds {
    row
}

#[operator]
fn nullable(row: NullableKinds) -> NullableKinds {
    row
}

#[operator]
fn widen(row: Wide) -> Wide {
    row
}

#[derive(Row)]
struct Whole {
    i64: i64,
}

#[operator]
fn even(row: &Whole) -> bool {
    row.i64 % 2 == 0
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Line<'a> {
    text: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct Word<'a> {
    word: &'a str,
}

#[operator]
fn split(line: Line<'_>, out: &Out<Word<'_>>) -> Result {
    for word in line.text.split(' ') {
        if word == "bad" {
            return Err(Error::new("a bad word"));
        }
        out.emit(Word { word });
    }
    Ok(())
}

tidemill::operators!(kinds, nullable, widen, even, split, copies, Limits, Careless, Pairing, Dice, Smallest);

fn sample(i: i64) -> Kinds {
    Kinds {
        bool: i % 3 == 0,
        i8: i as i8,
        i16: (i * 300) as i16,
        i32: (i * 70_000) as i32,
        i64: i * i64::from(i32::MAX) * 5,
        f32: i as f32 / 3.0,
        f64: i as f64 / 7.0,
        day: Date(i as i32 * 11),
        at: Timestamp(i * 1_000_000_000_000),
        zoned: Timestamp(-i),
        text: "ü".repeat((i & 3) as usize),
        bytes: b"\x00\xff".repeat((i & 3) as usize),
    }
}

#[test]
fn every_type_goes_through() {
    let mut h = Harness::new::<kinds>(Config::new());
    let rows: Vec<Kinds> = (-300..300).map(sample).collect();
    h.send("in", rows.clone());
    assert_eq!(h.rows::<Kinds>("out"), rows);
}

#[test]
fn nulls_go_through() {
    let mut h = Harness::new::<nullable>(Config::new());
    let rows: Vec<NullableKinds> = (0..40)
        .map(|i: i64| {
            let (k, mut n) = (sample(i), NullableKinds::default());
            let set = |bit: i64| i >> bit & 1 == 0 && i != 0;
            if set(0) {
                (n.bool, n.i8) = (Some(k.bool), Some(k.i8));
            }
            if set(1) {
                (n.i16, n.i32) = (Some(k.i16), Some(k.i32));
            }
            if set(2) {
                (n.i64, n.f32) = (Some(k.i64), Some(k.f32));
            }
            if set(3) {
                (n.f64, n.day) = (Some(k.f64), Some(k.day));
            }
            if set(4) {
                (n.at, n.text, n.bytes) = (Some(k.at), Some(k.text), Some(b"b".to_vec()));
            }
            n
        })
        .collect();
    h.send("in", rows.clone());
    assert_eq!(h.rows::<NullableKinds>("out"), rows);
}

#[test]
fn numbers_widen() {
    let mut h = Harness::new::<widen>(Config::new().input::<Narrow>("in"));
    h.send("in", [Narrow { i8: -1, i16: -300, i32: -70_000, i64: i64::MIN, f32: 0.5, f64: -7, text: "x".into(), bool: true }]);
    let want =
        Wide { i8: -1, i16: -300, i32: -70_000, i64: i64::MIN, f32: 0.5, f64: -7.0, text: b"x".to_vec(), bool: Some(true) };
    assert_eq!(h.rows::<Wide>("out"), [want]);
}

macro_rules! column {
    ($name:ident: $t:ty) => {{
        #[derive(Row)]
        struct Given {
            #[allow(dead_code)]
            $name: $t,
        }
        Harness::open::<even>(Config::new().input::<Given>("in")).err().unwrap_or_default()
    }};
}

#[test]
fn an_input_that_does_not_fit_is_refused() {
    assert_eq!(column!(i64: i32), "");
    assert_eq!(column!(other: i64), "port in, column i64: the input does not have it");
    assert_eq!(column!(i64: Option<i64>), "port in, column i64: it may be null, so its field must be an Option");
    assert_eq!(column!(i64: f64), "port in, column i64: it is of type f64, its field takes i64");
    assert_eq!(column!(i64: String), "port in, column i64: it is of type utf8, its field takes i64");
    assert_eq!(column!(i64: Timestamp), "port in, column i64: it is of type timestamp, its field takes i64");
}

#[test]
fn a_filter_passes_all_columns_through() {
    let mut h = Harness::new::<even>(Config::new().input::<Kinds>("in"));
    let rows: Vec<Kinds> = (0..10).map(|i| Kinds { i64: i, ..sample(i) }).collect();
    h.send("in", rows.clone());
    let want: Vec<Kinds> = rows.into_iter().filter(|row| row.i64 % 2 == 0).collect();
    assert_eq!(h.rows::<Kinds>("out"), want);
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Numbered {
    key: String,
    n: i64,
}

#[operator]
fn copies(row: &Number, out: &Out<FromInput>) {
    (0..row.n).for_each(|_| out.emit(FromInput));
}

/// As many rows as items are no sign that each row belongs to the item of its number.
#[test]
fn rows_belong_to_their_items() {
    for counts in 0..256 {
        let mut h = Harness::new::<copies>(Config::new().input::<Numbered>("in"));
        let rows: Vec<Numbered> = (0..4).map(|i| Numbered { key: i.to_string(), n: counts >> (2 * i) & 3 }).collect();
        let want: Vec<Numbered> = rows.iter().flat_map(|row| vec![row.clone(); row.n as usize]).collect();
        h.send("in", rows);
        assert_eq!(h.rows::<Numbered>("out"), want);
    }
}

/// Keeps numbers and answers the smallest so far: each row begins a loop over a map and leaves it early.
#[derive(Operator)]
struct Smallest {
    #[tm(name = "in")]
    input: In<Number>,
    out: Out<Number>,
    seen: Map<i64, i64>,
}

#[operator]
impl Smallest {
    #[on_row(input)]
    fn on_row(&mut self, row: Number) {
        self.seen.set(row.n, 1);
        if let Some((n, _)) = self.seen.iter().next() {
            self.out.emit(Number { n });
        }
    }
}

/// As few scans may be open at once, a loop that is left early must end its own.
#[test]
fn loops_that_are_left_early() {
    let mut h = Harness::new::<Smallest>(Config::new().key(["key"]).input::<Numbered>("in"));
    h.send("in", (0..200).map(|n| Numbered { key: "a".into(), n: 1000 - n }));
    let rows = h.rows::<Number>("out");
    assert_eq!((rows.len(), rows[199].n), (200, 801));
}

#[test]
fn rows_of_other_types_fail_the_test() {
    #[derive(Row)]
    struct Given {
        i64: i64,
        mean: Option<f64>,
    }
    macro_rules! fails {
        ($($name:ident: $t:ty, $want:literal;)*) => {$({
            #[derive(Row)]
            struct Taken {
                #[allow(dead_code)]
                $name: $t,
            }
            let failed = std::thread::spawn(|| {
                let mut h = Harness::new::<even>(Config::new().input::<Given>("in"));
                h.send("in", [Given { i64: 2, mean: None }]);
                h.rows::<Taken>("out").len()
            });
            let payload = failed.join().expect_err("the types are others");
            assert_eq!(payload.downcast_ref::<String>().map(String::as_str), Some($want));
        })*};
    }
    fails! {
        mean: i64, "the rows of port out: column mean is of type f64, its field takes i64";
        mean: f64, "the rows of port out: column mean may be null, so its field must be an Option";
        i64: i32, "the rows of port out: column i64 is of type i64, its field takes i32";
        median: i64, "the rows of port out: there is no column median, only i64, mean";
    }
}

#[test]
fn a_rejected_row_has_no_effect() {
    let mut h = Harness::new::<split>(Config::new());
    h.send("in", ["a b", "c bad", "bad", "d", "e bad f", "g"].map(|text| Line { text }));
    let words: Vec<&str> = h.rows::<Word<'_>>("out").into_iter().map(|w| w.word).collect();
    assert_eq!(words, ["a", "b", "d", "g"]);
    let rejected = h.rejected();
    let rows: Vec<&[Datum]> = rejected.iter().map(|r| r.row.as_slice()).collect();
    assert_eq!(rows, [["c bad".into()], ["bad".into()], ["e bad f".into()]]);
    for r in rejected {
        assert_eq!((r.port.as_deref(), r.message.as_str(), r.place), (Some("in"), "a bad word", None));
    }
}

#[derive(Row)]
struct Number {
    n: i64,
}

#[derive(Row, Debug, PartialEq)]
struct Text<'a> {
    text: &'a str,
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Params {
    on: bool,
    small: i8,
    ratio: f64,
    name: String,
    wait: i64,
    must: i64,
}

/// An operator whose parameters and answers go to their limits.
#[derive(Operator)]
struct Limits {
    #[param(default = true)]
    on: bool,
    #[param(default = -3)]
    small: i8,
    #[param(default = 0.5)]
    ratio: f64,
    #[param(default = String::new())]
    name: String,
    #[param(default = Duration::from_secs(90))]
    wait: Duration,
    #[param]
    must: i64,
    #[tm(name = "in")]
    input: In<Number>,
    out: Out<Text<'static>>,
    params: Out<Params>,
    seen: Counter,
}

#[operator]
impl Limits {
    #[on_open]
    fn on_open(&mut self) -> Result {
        if self.must < 0 {
            return Err(Error::param("must", "it must not be negative"));
        }
        Ok(())
    }

    #[on_row(input)]
    fn on_row(&mut self, row: Number) {
        self.seen.add(1);
        self.out.emit(Text { text: &"x".repeat(row.n as usize) });
    }

    #[on_end]
    fn on_end(&mut self) {
        let wait = self.wait.as_millis() as i64;
        let name = self.name.clone();
        self.params.emit(Params { on: self.on, small: self.small, ratio: self.ratio, name, wait, must: self.must });
    }
}

#[test]
fn parameters_are_set() {
    let must = Config::new().param("must", 1);
    let want = Params { on: true, small: -3, ratio: 0.5, name: String::new(), wait: 90_000, must: 1 };
    let all = Config::new()
        .param("must", 7)
        .param("on", false)
        .param("small", -128)
        .param("ratio", 2)
        .param("name", String::from("ü"))
        .param("wait", Duration::from_secs(1));
    let other = Params { on: false, small: -128, ratio: 2.0, name: "ü".into(), wait: 1000, must: 7 };
    for (config, want) in [(must.clone(), want), (all, other)] {
        let mut h = Harness::new::<Limits>(config);
        h.end();
        assert_eq!(h.rows::<Params>("params"), [want]);
    }
    for (config, want) in [
        (Config::new(), "parameter must: it is required"),
        (must.clone().param("smal", 1), "parameter smal: the operator has no such parameter"),
        (must.clone().param("small", 128), "parameter small: 128 is out of the range of i8"),
        (Config::new().param("must", String::from("1")), "parameter must: it must be a int"),
        (Config::new().param("must", 1.5), "parameter must: it must be a int"),
        (must.clone().param("on", 1), "parameter on: it must be a bool"),
        (must.clone().param("wait", String::from("30s")), "parameter wait: it must be a duration"),
        (must.clone().param("wait", -1), "parameter wait: it must not be negative"),
        (Config::new().param("must", -1), "parameter must: it must not be negative"),
    ] {
        assert_eq!(Harness::open::<Limits>(config).err().as_deref(), Some(want));
    }
}

#[test]
fn large_answers_are_cut_between_items() {
    let mut h = Harness::new::<Limits>(Config::new().frame_bytes(10_000).param("must", 1));
    let mut rows = Vec::new();
    for i in 0..200 {
        rows.push(if i % 50 == 0 { 30_000 } else { [10, 4000, 9000, 9990, 700, 20_000][i * 7 % 6] });
    }
    h.send("in", rows.iter().map(|n| Number { n: *n }));
    let want: Vec<i64> = rows.iter().copied().filter(|n| *n <= 9000).collect();
    let got: Vec<i64> = h.rows::<Text<'_>>("out").iter().map(|row| row.text.len() as i64).collect();
    assert_eq!(got, want);
    let rejected = h.rejected();
    assert_eq!((rejected.len(), h.metric("seen")), (rows.len() - want.len(), want.len() as f64));
    for r in rejected {
        assert_eq!(r.message, "the answer to one item is larger than frame_bytes (10000)");
        assert!(matches!(r.row[..], [Datum::Int(n)] if n > 9000));
    }
}

#[derive(Row)]
struct Keyed<'a> {
    key: &'a str,
    text: &'a str,
}

#[derive(Row)]
struct Careful<'a> {
    text: &'a str,
}

/// Does what the rules forbid.
#[derive(Operator)]
struct Careless {
    #[tm(name = "in")]
    input: In<Careful<'static>>,
    key: Key<&'static str>,
    count: Value<i64>,
    map: Map<&'static str, i64>,
    list: List<i64>,
    tick: Timer,
    context: Context,
}

#[operator]
impl Careless {
    #[on_row(input)]
    fn on_row(&mut self, row: Careful<'_>) {
        if row.text == "tag" {
            self.tick.set_tag(Timestamp(0), &"x".repeat(257));
        }
        self.context.log(Level::Info, &format!("{} {}", self.key.get(), row.text));
    }

    #[on_fire(tick)]
    fn on_tick(&mut self) {}

    #[on_watermark]
    fn on_watermark(&mut self, at: Timestamp) {
        match at.0 {
            1 => self.count.set(1),
            2 => self.map.set("x", 1),
            3 => self.tick.set(Timestamp(9)),
            4 => drop(self.key.get()),
            5 => self.list.append(1),
            6 => *self.count.edit() = 1,
            _ => {}
        }
    }
}

#[test]
fn mistakes_show() {
    let mut h = Harness::new::<Careless>(Config::new().key(["key"]).input::<Keyed<'_>>("in"));
    h.send("in", [Keyed { key: "k", text: "kept" }]);
    h.send("in", [Keyed { key: "k", text: "tag" }]);
    assert_eq!(h.logs(), ["k kept"]);
    for w in 0..7 {
        h.advance_watermark(Timestamp(w));
    }
    let rejected = h.rejected();
    let messages: Vec<&str> = rejected.iter().map(|r| r.message.as_str()).collect();
    let state = "a state is used where no item with a key is under way";
    let timer = "a timer is set or deleted where no item with a key is under way";
    let key = "the key is read where no item with a key is under way";
    assert_eq!(messages, ["a timer's tag is longer than 256 bytes", state, state, timer, key, state, state]);
    for r in &rejected {
        assert!(r.place.as_ref().is_some_and(|place| place.contains("tests/harness.rs:")), "{r:?}");
    }
}

#[derive(Row)]
struct Twice {
    #[allow(dead_code)]
    a: i64,
    #[allow(dead_code)]
    #[tm(name = "a")]
    b: i64,
}

#[derive(Operator)]
struct Doubled {
    #[tm(name = "in")]
    input: In<Twice>,
}

#[operator]
impl Doubled {
    #[on_row(input)]
    fn on_row(&mut self, _: Twice) {}
}

#[derive(Operator)]
struct Forgetful {
    #[tm(name = "in", many)]
    input: In<Number>,
}

#[operator]
impl Forgetful {}

#[derive(Operator)]
struct Deaf {
    #[tm(name = "in")]
    input: In<Number>,
    tick: Timer,
}

#[operator]
impl Deaf {
    #[on_row(input)]
    fn on_row(&mut self, row: Number) {
        self.tick.set(Timestamp(row.n));
    }
}

#[test]
fn an_operator_that_is_wrong_is_refused() {
    let unkeyed = Harness::open::<Careless>(Config::new()).err();
    assert_eq!(unkeyed.as_deref(), Some("port in must be keyed, because the operator has state, timers or a key"));
    let doubled = Harness::open::<Doubled>(Config::new()).err();
    assert_eq!(doubled.as_deref(), Some("operator doubled: field in: there are two columns a"));
    let forgetful = Harness::open::<Forgetful>(Config::new()).err();
    assert_eq!(forgetful.as_deref(), Some("operator forgetful: field in: an input port has no option many"));
    let deaf = Harness::open::<Deaf>(Config::new().key(["n"])).err();
    assert_eq!(deaf.as_deref(), Some("timer tick: it has no method #[on_fire]"));
}

#[derive(Row)]
struct Order {
    amount: i64,
}

#[derive(Row)]
struct Payment {
    paid: i64,
    #[tm(event_time)]
    at: Timestamp,
}

#[derive(Row)]
struct Both {
    customer: FromKey,
    amount: i64,
    paid: i64,
    #[tm(name = "when", event_time)]
    at: Timestamp,
}

/// Joins two ports of different rows by their key.
#[derive(Operator)]
struct Pairing {
    orders: In<Order>,
    payments: In<Payment>,
    both: Out<Both>,
    #[tm(input = "payments")]
    raw: Out<FromInput>,
    #[tm(prefetch = "payments")]
    pending: List<i64>,
    remind: Timer,
    context: Context,
}

#[operator]
impl Pairing {
    #[on_row(orders)]
    fn on_order(&mut self, order: Order) {
        self.pending.append(order.amount);
        self.remind.set(Timestamp(5));
        if order.amount < 0 {
            self.raw.emit(FromInput);
        }
    }

    #[on_row(payments)]
    fn on_payment(&mut self, payment: &Payment) {
        for amount in &self.pending {
            self.both.emit(Both { customer: FromKey, amount, paid: payment.paid, at: payment.at + Duration::from_micros(1) });
        }
        self.pending.clear();
        self.remind.delete();
        self.raw.emit(FromInput);
    }

    #[on_fire(remind)]
    fn on_remind(&mut self) {
        self.context.log(Level::Warn, &format!("{} {}", self.context.job(), self.context.operator()));
        self.raw.emit(FromInput);
    }
}

#[test]
fn two_ports() {
    #[derive(Row)]
    struct Ordered {
        customer: &'static str,
        amount: i64,
    }
    #[derive(Row, Clone, Debug, PartialEq)]
    struct Paid {
        customer: String,
        paid: i64,
        note: String,
        #[tm(event_time)]
        at: Timestamp,
    }
    #[derive(Row, Debug, PartialEq)]
    struct Joined {
        customer: String,
        amount: i64,
        paid: i64,
        when: Timestamp,
        #[tm(event_time)]
        at: Timestamp,
    }
    let paid =
        |customer: &str, paid, note: &str, at| Paid { customer: customer.into(), paid, note: note.into(), at: Timestamp(at) };
    let joined = |customer: &str, amount, paid, at| Joined {
        customer: customer.into(),
        amount,
        paid,
        when: Timestamp(at),
        at: Timestamp(at),
    };
    for shake in 0..4 {
        let config = Config::new().key(["customer"]).shake(shake).input::<Ordered>("orders").input::<Paid>("payments");
        let mut h = Harness::new::<Pairing>(config);
        h.send("orders", [("a", 10), ("b", 20), ("a", 11), ("c", 30)].map(|(customer, amount)| Ordered { customer, amount }));
        let payments = [paid("a", 21, "first", 70), paid("b", 20, "second", 80), paid("a", 0, "third", 90)];
        h.send("payments", payments.clone());
        assert_eq!(h.rows::<Joined>("both"), [joined("a", 10, 21, 71), joined("a", 11, 21, 71), joined("b", 20, 20, 81)]);
        assert_eq!(h.rows::<Paid>("raw"), payments);
        assert_eq!(h.timers(&["a".into()]), []);
        let set = SetTimer { name: "remind".into(), processing: false, time: Timestamp(5), tag: String::new() };
        assert_eq!(h.timers(&["c".into()]), [set]);
        // Only rows of port payments have the columns of port raw.
        h.send("orders", [Ordered { customer: "d", amount: -1 }]);
        h.advance_watermark(Timestamp(5));
        let rejected = h.rejected();
        assert!(!rejected.is_empty());
        for r in rejected {
            assert_eq!(r.message, "port raw passes columns of input payments through: only rows of it can be emitted there");
            assert!(r.place.is_some());
        }
        assert_eq!(h.logs().first().map(String::as_str), Some("test pairing"));
    }
}

#[derive(Row, Clone, Copy, Debug, PartialEq)]
struct Drawn {
    drawn: i64,
    fraction: f64,
    now: Timestamp,
}

/// Draws random numbers and tells the time.
#[derive(Operator)]
struct Dice {
    #[tm(name = "in")]
    input: In<Number>,
    out: Out<Drawn>,
    context: Context,
}

#[operator]
impl Dice {
    #[on_row(input)]
    fn on_row(&mut self) {
        let drawn = self.context.random() as i64;
        self.out.emit(Drawn { drawn, fraction: self.context.random_float(), now: self.context.processing_time() });
    }
}

#[test]
fn random_numbers_and_time_come_from_the_host() {
    let draw = || {
        let mut h = Harness::new::<Dice>(Config::new());
        let mut rows = Vec::new();
        for now in 0..3 {
            h.advance_processing_time(Timestamp(now * 1000));
            h.send("in", [Number { n: 0 }, Number { n: 0 }]);
            rows.extend(h.rows::<Drawn>("out"));
        }
        rows
    };
    let first = draw();
    assert_eq!(first, draw());
    for (i, r) in first.iter().enumerate() {
        assert!(!first[..i].iter().any(|other| other.drawn == r.drawn || other.fraction == r.fraction));
        assert!((0.0..1.0).contains(&r.fraction) && r.now == Timestamp(i as i64 / 2 * 1000), "{r:?}");
    }
}
