//! The batch interface, beside the Go SDK's cases.

use tidemill::prelude::*;
use tidemill::testing::{Config, Harness};

#[derive(Columns)]
struct Measures<'a> {
    sensor: Texts<'a>,
    value: Nulls<'a, &'a [f64]>,
    good: Bits<'a>,
    #[allow(dead_code)]
    #[tm(event_time)]
    at: &'a [Timestamp],
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Measure {
    sensor: String,
    value: Option<f64>,
    good: bool,
    spare: i32,
    #[tm(event_time)]
    at: Timestamp,
}

#[derive(Columns)]
struct ScaledColumns<'a> {
    sensor: FromInput,
    twice: Nulls<'a, &'a [f64]>,
    bad: Bits<'a>,
    label: Texts<'a>,
    raw: Nulls<'a, Binaries<'a>>,
    on: &'a [Date],
}

#[derive(Row, Debug, PartialEq)]
struct Scaled {
    sensor: String,
    twice: Option<f64>,
    bad: bool,
    label: String,
    raw: Option<Vec<u8>>,
    on: Date,
    #[tm(event_time)]
    at: Timestamp,
}

#[derive(Columns)]
struct Whole {
    #[tm(all)]
    row: FromInput,
}

#[derive(Row)]
struct Counted {
    sensor: FromKey,
    n: i64,
}

/// Works on columns, counts by key beside it, and reuses the memory of what it emits.
#[derive(Operator)]
struct Scaler {
    #[tm(name = "in")]
    input: BatchIn<Measures<'static>>,
    out: BatchOut<ScaledColumns<'static>>,
    good: BatchOut<Whole>,
    total: Out<Counted>,
    count: Value<i64>,
    #[local]
    made: Made,
}

#[derive(Default)]
struct Made {
    twice: Vec<f64>,
    valid: BitsBuf,
    bad: BitsBuf,
    label: TextsBuf,
    raw: BinariesBuf,
    on: Vec<Date>,
    items: Vec<u32>,
}

impl Made {
    fn clear(&mut self) {
        self.twice.clear();
        self.valid.clear();
        self.bad.clear();
        self.label.clear();
        self.raw.clear();
        self.on.clear();
        self.items.clear();
    }
}

#[operator]
impl Scaler {
    #[on_batch(input)]
    fn on_batch(&mut self, columns: Measures<'_>, batch: Batch<'_>) -> Result {
        let made = &mut self.made;
        made.clear();
        for i in 0..batch.rows() {
            batch.select(i);
            let sensor = columns.sensor.get(i);
            if sensor == "refused" {
                return Err(Error::new("a refused sensor"));
            }
            made.twice.push(2.0 * columns.value.column[i]);
            made.valid.push(!columns.value.is_null(i));
            made.bad.push(!columns.good.get(i));
            made.label.push(&format!("{sensor}!"));
            made.raw.push(&[i as u8]);
            made.on.push(columns.at[i].date());
            if columns.good.get(i) {
                made.items.push(i as u32);
            }
            let n = self.count.edit();
            *n += 1;
            if *n % 3 == 0 {
                self.total.emit(Counted { sensor: FromKey, n: *n });
            }
        }
        self.out.emit(ScaledColumns {
            sensor: FromInput,
            twice: Nulls { column: &made.twice, valid: made.valid.bits() },
            bad: made.bad.bits(),
            label: made.label.texts(),
            raw: Nulls { column: made.raw.binaries(), valid: Bits::default() },
            on: &made.on,
        });
        self.good.emit_for(&made.items, Whole { row: FromInput });
        Ok(())
    }
}

tidemill::operators!(Scaler, Lopsided);

#[test]
fn the_batch_interface() {
    #[derive(Row)]
    struct Total {
        sensor: &'static str,
        #[allow(dead_code)]
        n: i64,
    }
    for shake in 0..4 {
        let mut h = Harness::new::<Scaler>(Config::new().key(["sensor"]).shake(shake).input::<Measure>("in"));
        let (mut sent, mut good, mut want, mut totals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut counts = std::collections::HashMap::new();
        for i in 0..50 {
            let sensor = if i == 20 { "refused".into() } else { char::from(b'a' + i as u8 % 7).to_string() };
            let value = (i % 4 > 0).then_some(f64::from(i) / 8.0);
            let m = Measure { sensor, value, good: i % 3 > 0, spare: i, at: Timestamp(i64::from(i) * 10) };
            sent.push(m.clone());
            if i == 20 {
                continue;
            }
            let (twice, label) = (m.value.map(|v| 2.0 * v), format!("{}!", m.sensor));
            want.push(Scaled { sensor: m.sensor.clone(), twice, bad: !m.good, label, raw: None, on: Date(0), at: m.at });
            let n = counts.entry(m.sensor.clone()).or_insert(0);
            *n += 1;
            if *n % 3 == 0 {
                totals.push(m.sensor.clone());
            }
            if m.good {
                good.push(m);
            }
        }
        h.send("in", sent.clone());
        let mut got = h.rows::<Scaled>("out");
        for row in &mut got {
            assert_eq!(row.raw.take().map(|raw| raw.len()), Some(1));
        }
        assert_eq!(got, want);
        assert_eq!(h.rows::<Measure>("good"), good);
        assert_eq!(h.rows::<Total>("total").iter().map(|t| t.sensor).collect::<Vec<_>>(), totals);
        let rejected = h.rejected();
        assert_eq!(rejected.len(), 1);
        assert_eq!((rejected[0].message.as_str(), &rejected[0].row[3]), ("a refused sensor", &20.into()));
    }
}

#[test]
fn columns_are_not_converted() {
    #[derive(Row)]
    struct Narrow {
        #[allow(dead_code)]
        sensor: String,
        #[allow(dead_code)]
        value: i32,
        #[allow(dead_code)]
        good: bool,
    }
    let refused = Harness::open::<Scaler>(Config::new().key(["sensor"]).input::<Narrow>("in")).err();
    assert_eq!(refused.as_deref(), Some("port in, column value: it is of type i32, its field takes f64"));
}

#[derive(Columns)]
struct Numbers<'a> {
    n: &'a [i64],
}

#[derive(Columns)]
struct Flagged<'a> {
    n: Nulls<'a, &'a [i64]>,
}

/// Emits columns of wrong lengths.
#[derive(Operator)]
struct Lopsided {
    #[tm(name = "in")]
    input: BatchIn<Numbers<'static>>,
    out: BatchOut<Flagged<'static>>,
}

#[operator]
impl Lopsided {
    #[on_batch(input)]
    fn on_batch(&mut self, columns: Numbers<'_>) {
        let mut valid = BitsBuf::default();
        let column = match columns.n[0] {
            0 => &columns.n[1..],
            1 => {
                (0..3).for_each(|_| valid.push(true));
                columns.n
            }
            _ => columns.n,
        };
        self.out.emit(Flagged { n: Nulls { column, valid: valid.bits() } });
    }
}

#[test]
fn columns_of_other_lengths_show() {
    #[derive(Row)]
    struct Given {
        n: i64,
    }
    for (first, refused) in [(0, true), (1, true), (2, false)] {
        let mut h = Harness::new::<Lopsided>(Config::new());
        h.send("in", [Given { n: first }, Given { n: 7 }]);
        let rejected = h.rejected();
        assert_eq!(!rejected.is_empty(), refused);
        for r in rejected {
            assert_eq!(r.message, "column n of an emitted batch has another number of rows than the batch");
        }
    }
}
