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

tidemill::operators!(Scaler, Lopsided, Sorter);

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

#[derive(Columns)]
struct Baskets<'a> {
    prices: Lists<'a, &'a [Decimal<10, 2>]>,
    tags: Nulls<'a, Lists<'a, Texts<'a>>>,
    flags: Lists<'a, Bits<'a>>,
    limit: &'a [Decimal<12, 2>],
}

#[derive(Columns)]
struct SortedColumns<'a> {
    prices: Lists<'a, &'a [Decimal<10, 2>]>,
    tags: Nulls<'a, Lists<'a, Texts<'a>>>,
    raw: Lists<'a, Binaries<'a>>,
    flags: Lists<'a, Bits<'a>>,
    limit: FromInput,
    total: Nulls<'a, &'a [Decimal<12, 2>]>,
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Basket {
    prices: Vec<Decimal<10, 2>>,
    tags: Option<Vec<String>>,
    flags: Vec<bool>,
    limit: Decimal<12, 2>,
}

#[derive(Row, Debug, PartialEq)]
struct Sorted {
    prices: Vec<Decimal<10, 2>>,
    tags: Option<Vec<String>>,
    raw: Vec<Vec<u8>>,
    flags: Vec<bool>,
    limit: Decimal<12, 2>,
    total: Option<Decimal<12, 2>>,
}

/// Sorts lists, and adds prices up to a limit.
#[derive(Operator)]
struct Sorter {
    #[tm(name = "in")]
    input: BatchIn<Baskets<'static>>,
    out: BatchOut<SortedColumns<'static>>,
    #[local]
    made: MadeLists,
}

#[derive(Default)]
struct MadeLists {
    price_lists: ListsBuf,
    prices: Vec<Decimal<10, 2>>,
    tag_lists: ListsBuf,
    tags: TextsBuf,
    tagged: BitsBuf,
    raw: BinariesBuf,
    flags: BitsBuf,
    flag_lists: ListsBuf,
    totals: Vec<Decimal<12, 2>>,
    total: BitsBuf,
}

#[operator]
impl Sorter {
    #[on_batch(input)]
    fn on_batch(&mut self, c: Baskets<'_>, batch: Batch<'_>) {
        let m = &mut self.made;
        m.price_lists.clear();
        m.prices.clear();
        m.tag_lists.clear();
        m.tags.clear();
        m.tagged.clear();
        m.raw.clear();
        m.flags.clear();
        m.flag_lists.clear();
        m.totals.clear();
        m.total.clear();
        for i in 0..batch.rows() {
            let mut prices = c.prices.get(i).to_vec();
            prices.sort();
            let sum = prices.iter().try_fold(Decimal::<12, 2>::ZERO, |sum, price| sum.checked_add(price.rescale()?));
            let sum = sum.filter(|sum| *sum <= c.limit[i]);
            m.totals.push(sum.unwrap_or_default());
            m.total.push(sum.is_some());
            m.price_lists.push(prices.len());
            m.prices.extend(prices);
            let tags = &c.tags.column;
            let mut tags: Vec<&str> = tags.range(i).map(|j| tags.elements.get(j)).collect();
            tags.sort();
            m.tagged.push(!c.tags.is_null(i));
            m.tag_lists.push(tags.len());
            for tag in tags {
                m.tags.push(tag);
                m.raw.push(tag.as_bytes());
            }
            let flags = c.flags.range(i);
            m.flag_lists.push(flags.len());
            flags.rev().for_each(|j| m.flags.push(c.flags.elements.get(j)));
        }
        self.out.emit(SortedColumns {
            prices: m.price_lists.lists(&m.prices),
            tags: Nulls { column: m.tag_lists.lists(m.tags.texts()), valid: m.tagged.bits() },
            raw: m.tag_lists.lists(m.raw.binaries()),
            flags: m.flag_lists.lists(m.flags.bits()),
            limit: FromInput,
            total: Nulls { column: &m.totals, valid: m.total.bits() },
        });
    }
}

#[test]
fn lists_and_decimals_as_columns() {
    let price = |n: i128| Decimal::from_unscaled(n).expect("ten digits");
    let rows: Vec<Basket> = (0..60i128)
        .map(|i| Basket {
            prices: (0..i % 4).map(|j| price((i * 7919 + j * 104_729) % 1000 - 300)).collect(),
            tags: (i % 5 > 0).then(|| (0..i % 3).map(|j| format!("{}ü", (i * 31 + j * 17) % 10)).collect()),
            flags: (0..i % 11).map(|j| (i * j) % 3 == 0).collect(),
            limit: Decimal::try_from(i % 6).expect("one digit"),
        })
        .collect();
    let sorted = |b: &Basket| {
        let (mut prices, mut tags) = (b.prices.clone(), b.tags.clone());
        prices.sort_by_key(|p| p.unscaled());
        tags.iter_mut().for_each(|t| t.sort());
        let sum: i128 = prices.iter().map(|p| p.unscaled()).sum();
        Sorted {
            raw: tags.iter().flatten().map(|t| t.clone().into_bytes()).collect(),
            total: Decimal::from_unscaled(sum).filter(|sum| *sum <= b.limit),
            flags: b.flags.iter().copied().rev().collect(),
            limit: b.limit,
            prices,
            tags,
        }
    };
    for shake in 0..4 {
        let mut h = Harness::new::<Sorter>(Config::new().shake(shake));
        h.send("in", rows.clone());
        assert_eq!(h.rows::<Sorted>("out"), rows.iter().map(sorted).collect::<Vec<_>>());
        // No row has any element.
        let empty = Basket { prices: Vec::new(), tags: None, flags: Vec::new(), limit: Decimal::ZERO };
        h.send("in", vec![empty.clone(); 3]);
        assert_eq!(h.rows::<Sorted>("out"), [&empty; 3].map(sorted));
    }
}

#[test]
#[should_panic(expected = "2 elements for lists of 3")]
fn elements_of_another_number_show() {
    let mut lists = ListsBuf::default();
    lists.push(0);
    lists.push(3);
    lists.lists(&[1i64, 2][..]);
}

#[test]
fn columns_of_lists_are_not_converted() {
    #[derive(Row)]
    #[allow(dead_code)]
    struct Other {
        prices: Vec<Decimal<9, 2>>,
        tags: Vec<String>,
        flags: Vec<bool>,
        limit: Decimal<12, 2>,
    }
    let refused = Harness::open::<Sorter>(Config::new().input::<Other>("in")).err();
    let want = "port in, column prices: it is of type list<decimal128(9,2)>, its field takes list<decimal128(10,2)>";
    assert_eq!(refused.as_deref(), Some(want));
}
