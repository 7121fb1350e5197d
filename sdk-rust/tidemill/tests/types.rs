//! Decimals and lists in rows, states and keys.

use std::collections::BTreeMap;
use tidemill::prelude::*;
use tidemill::testing::{Config, Harness};

type Amount = Decimal<20, 3>;

/// Has lists of every type.
#[derive(Row, Clone, Debug, Default, PartialEq)]
struct Lists {
    key: String,
    bool: Vec<bool>,
    i8: Vec<i8>,
    i16: Vec<i16>,
    i32: Vec<i32>,
    i64: Vec<i64>,
    f32: Vec<f32>,
    f64: Vec<f64>,
    day: Vec<Date>,
    at: Vec<Timestamp>,
    #[tm(tz)]
    zoned: Vec<Timestamp>,
    text: Vec<String>,
    bytes: Vec<Vec<u8>>,
    amounts: Vec<Amount>,
    maybe: Option<Vec<String>>,
    maybe_numbers: Option<Vec<i16>>,
    amount: Amount,
    maybe_amount: Option<Decimal<38, 38>>,
}

/// The same as views of the frame.
#[derive(Row, Clone)]
struct Views<'a> {
    key: &'a str,
    bool: Vec<bool>,
    i8: &'a [i8],
    i16: &'a [i16],
    i32: &'a [i32],
    i64: &'a [i64],
    f32: &'a [f32],
    f64: &'a [f64],
    day: &'a [Date],
    at: &'a [Timestamp],
    #[tm(tz)]
    zoned: &'a [Timestamp],
    text: Vec<&'a str>,
    bytes: Vec<&'a [u8]>,
    amounts: &'a [Amount],
    maybe: Option<Vec<&'a str>>,
    maybe_numbers: Option<&'a [i16]>,
    amount: Amount,
    maybe_amount: Option<Decimal<38, 38>>,
}

#[operator]
fn owned(row: Lists) -> Lists {
    row
}

#[operator]
fn lent(row: Views<'_>) -> Views<'_> {
    row
}

#[operator]
fn long(row: Views<'_>) -> bool {
    row.i64.len() > 2
}

fn amount(n: i64) -> Amount {
    Decimal::from_unscaled(i128::from(n) * 1_234_567_890_123_456_789 % 10i128.pow(20)).expect("twenty digits")
}

fn sample(i: i64) -> Lists {
    fn list<T>(n: i64, of: impl Fn(i64) -> T) -> Vec<T> {
        (0..n).map(of).collect()
    }
    let n = |salt: i64| (i * 31 + salt * 17).rem_euclid(13) % 5;
    Lists {
        key: (i % 3).to_string(),
        bool: list(3 * n(0), |j| (i + j) % 3 == 0),
        i8: list(n(1), |j| (i + j) as i8),
        i16: list(n(2), |j| (i * 300 + j) as i16),
        i32: list(n(3), |j| (i * 70_000 - j) as i32),
        i64: list(n(4), |j| i * i64::from(i32::MAX) * 5 + j),
        f32: list(n(5), |j| (i + j) as f32 / 3.0),
        f64: list(n(6), |j| (i - j) as f64 / 7.0),
        day: list(n(7), |j| Date((i * 11 + j) as i32)),
        at: list(n(8), |j| Timestamp(i * 1_000_000_000_000 + j)),
        zoned: list(n(9), |j| Timestamp(j - i)),
        text: list(n(10), |j| "ü".repeat((i + j).rem_euclid(4) as usize)),
        bytes: list(n(11), |j| b"\x00\xff".repeat((i + j).rem_euclid(3) as usize)),
        amounts: list(n(12), |j| amount(i - j)),
        maybe: (i % 4 != 0).then(|| list(n(13), |j| j.to_string())),
        maybe_numbers: (i % 3 != 0).then(|| list(n(14), |j| j as i16)),
        amount: amount(i),
        maybe_amount: (i % 2 == 0).then(|| Decimal::from_unscaled(-i128::from(i) << 64).expect("less than forty digits")),
    }
}

#[test]
fn every_type_goes_through() {
    let rows: Vec<Lists> = (-100..100).map(sample).collect();
    for shake in 0..3 {
        let mut h = Harness::new::<owned>(Config::new().shake(shake));
        h.send("in", rows.clone());
        h.send("in", [Lists::default(), Lists::default()]); // no row has any element
        let got = h.rows::<Lists>("out");
        assert_eq!(got[..rows.len()], rows);
        assert_eq!(got[rows.len()..], [Lists::default(), Lists::default()]);
        let mut h = Harness::new::<lent>(Config::new().shake(shake));
        h.send("in", rows.clone());
        assert_eq!(h.rows::<Lists>("out"), rows);
    }
}

#[test]
fn a_filter_passes_lists_through() {
    let rows: Vec<Lists> = (0..50).map(sample).collect();
    let mut h = Harness::new::<long>(Config::new());
    h.send("in", rows.clone());
    let want: Vec<Lists> = rows.into_iter().filter(|row| row.i64.len() > 2).collect();
    assert!(!want.is_empty());
    assert_eq!(h.rows::<Lists>("out"), want);
}

#[derive(Row)]
struct Last<'a> {
    n: i64,
    #[tm(flatten)]
    row: Views<'a>,
}

#[derive(Row, Debug, PartialEq)]
struct LastRead {
    n: i64,
    #[tm(flatten)]
    row: Lists,
}

/// Keeps rows in states of all kinds and emits what each had: the value before, all of the list, all of the map.
#[derive(Operator)]
struct Keeping {
    #[tm(name = "in")]
    input: In<Views<'static>>,
    out: Out<Last<'static>>,
    value: Value<Views<'static>>,
    words: Value<Vec<String>>,
    list: List<Views<'static>>,
    #[tm(prefetch)]
    sums: Map<Amount, Vec<Amount>>,
    rows: Map<Decimal<38, 0>, Views<'static>>,
}

#[operator]
impl Keeping {
    #[on_row(input)]
    fn on_row(&mut self, row: Views<'_>) {
        if let Some(before) = self.value.get() {
            self.out.emit(Last { n: 0, row: before });
        }
        self.value.set(row.clone());
        self.words.edit().extend(row.text.iter().map(|text| text.to_string()));
        self.list.append(row.clone());
        self.sums.edit(row.amount).extend(row.amounts);
        let key = Decimal::try_from(row.amount.trunc()).expect("seventeen digits");
        self.rows.set(key, row);
        if self.list.len() % 5 == 0 {
            for (n, row) in (1..).zip(&self.list) {
                self.out.emit(Last { n, row });
            }
            self.list.clear();
            for (_, row) in self.rows.range(Decimal::ZERO, Decimal::MAX) {
                self.out.emit(Last { n: -1, row });
            }
        }
    }
}

#[derive(Default)]
struct Kept {
    value: Option<Lists>,
    words: Vec<String>,
    list: Vec<Lists>,
    sums: BTreeMap<i128, Vec<Amount>>,
    rows: BTreeMap<i128, Lists>,
}

#[test]
fn states_hold_lists_and_decimals() {
    for shake in 0..6 {
        let mut h = Harness::new::<Keeping>(Config::new().key(["key"]).shake(shake).input::<Lists>("in"));
        let (mut kept, mut want): (BTreeMap<String, Kept>, BTreeMap<String, Vec<LastRead>>) = Default::default();
        for round in 0..4 {
            let rows: Vec<Lists> = (0..20).map(|i| sample((round * 20 + i) * 7 - 260)).collect();
            for row in &rows {
                let (k, out) = (kept.entry(row.key.clone()).or_default(), want.entry(row.key.clone()).or_default());
                out.extend(k.value.replace(row.clone()).map(|row| LastRead { n: 0, row }));
                k.words.extend(row.text.clone());
                k.list.push(row.clone());
                k.sums.entry(row.amount.unscaled()).or_default().extend(&row.amounts);
                k.rows.insert(row.amount.unscaled() / 1000, row.clone());
                if k.list.len() == 5 {
                    out.extend((1..).zip(k.list.drain(..)).map(|(n, row)| LastRead { n, row }));
                    out.extend(k.rows.range(0..).map(|(_, row)| LastRead { n: -1, row: row.clone() }));
                }
            }
            h.send("in", rows);
        }
        let got = h.rows::<LastRead>("out");
        for (key, want) in want {
            let got: Vec<&LastRead> = got.iter().filter(|r| r.row.key == key).collect();
            assert!(got.iter().copied().eq(&want), "key {key}");
            let name = [key.as_str().into()];
            let kept = &kept[&key];
            assert_eq!(h.value::<Lists>("value", &name), kept.value);
            assert_eq!(h.value::<Vec<String>>("words", &name).unwrap_or_default(), kept.words);
            assert_eq!(h.list::<Lists>("list", &name), kept.list);
            let sums = kept.sums.iter().map(|(k, v)| (Decimal::from_unscaled(*k).expect("twenty digits"), v.clone()));
            assert_eq!(h.map::<Amount, Vec<Amount>>("sums", &name), sums.collect::<Vec<_>>());
            let rows = kept.rows.iter().map(|(k, v)| (Decimal::from_unscaled(*k).expect("twenty digits"), v.clone()));
            assert_eq!(h.map::<Decimal<38, 0>, Lists>("rows", &name), rows.collect::<Vec<_>>());
        }
    }
}

#[derive(Row, Clone, Debug, PartialEq)]
struct Payment {
    account: Decimal<10, 1>,
    amount: i64,
}

#[derive(Row, Debug, PartialEq)]
struct BalanceRead {
    account: Decimal<10, 1>,
    own: Decimal<10, 1>,
    sum: i64,
}

/// Its key is a decimal.
#[derive(Operator)]
struct Accounts {
    #[tm(name = "in")]
    input: In<AmountOnly>,
    out: Out<BalanceOut>,
    key: Key<Decimal<12, 1>>, // of more digits
    sum: Value<i64>,
}

#[derive(Row)]
struct AmountOnly {
    amount: i64,
}

#[derive(Row)]
struct BalanceOut {
    account: FromKey,
    own: Decimal<10, 1>,
    sum: i64,
}

#[operator]
impl Accounts {
    #[on_row(input)]
    fn on_row(&mut self, row: AmountOnly) -> Result {
        let sum = self.sum.edit();
        *sum += row.amount;
        let own = self.key.get().rescale().ok_or(Error::new("no account"))?;
        self.out.emit(BalanceOut { account: FromKey, own, sum: *sum });
        Ok(())
    }
}

#[test]
fn a_decimal_is_a_key() {
    let mut h = Harness::new::<Accounts>(Config::new().key(["account"]).input::<Payment>("in"));
    let account = |n| Decimal::from_unscaled(n).expect("ten digits");
    let payments = [(-15, 1), (20, 10), (-15, 2), (0, 5), (20, 30)];
    h.send("in", payments.map(|(n, amount)| Payment { account: account(n), amount }));
    let want = [(-15, 1), (20, 10), (-15, 3), (0, 5), (20, 40)];
    let got = h.rows::<BalanceRead>("out");
    assert_eq!(got, want.map(|(n, sum)| BalanceRead { account: account(n), own: account(n), sum }));
    assert_eq!(h.value::<i64>("sum", &[account(20).into()]), Some(40));
}

#[derive(Row)]
struct Wider<'a> {
    amount: Decimal<30, 2>,
    numbers: &'a [i64],
    reals: &'a [f64],
    texts: Vec<&'a [u8]>,
}

#[operator]
fn widen(row: Wider<'_>) -> Wider<'_> {
    row
}

#[test]
fn decimals_and_lists_widen() {
    #[derive(Row)]
    struct Narrow {
        amount: Decimal<12, 2>,
        numbers: Vec<i16>,
        reals: Vec<i32>,
        texts: Vec<String>,
    }
    #[derive(Row, Debug, PartialEq)]
    struct Read {
        amount: Decimal<38, 2>,
        numbers: Vec<i64>,
        reals: Vec<f64>,
        texts: Vec<Vec<u8>>,
    }
    for shake in 0..4 {
        let mut h = Harness::new::<widen>(Config::new().shake(shake).input::<Narrow>("in"));
        let rows = (0..20i16).map(|i| Narrow {
            amount: Decimal::MAX,
            numbers: (0..i % 4).map(|j| j - i).collect(),
            reals: vec![i32::MIN; i as usize % 3],
            texts: vec!["é".into(); i as usize % 2],
        });
        h.send("in", rows);
        let want = (0..20i16).map(|i| Read {
            amount: Decimal::from_unscaled(10i128.pow(12) - 1).expect("twelve digits"),
            numbers: (0..i % 4).map(|j| (j - i).into()).collect(),
            reals: vec![i32::MIN.into(); i as usize % 3],
            texts: vec!["é".as_bytes().to_vec(); i as usize % 2],
        });
        assert_eq!(h.rows::<Read>("out"), want.collect::<Vec<_>>());
    }
}

macro_rules! refused {
    ($($name:ident: $t:ty, $want:literal;)*) => {$({
        #[derive(Row)]
        struct Given {
            #[allow(dead_code)]
            amount: Decimal<30, 2>,
            #[allow(dead_code)]
            numbers: Vec<i64>,
            #[allow(dead_code)]
            reals: Vec<f64>,
            #[allow(dead_code)]
            texts: Vec<String>,
        }
        #[derive(Row)]
        struct Other {
            #[allow(dead_code)]
            $name: $t,
        }
        #[derive(Operator)]
        struct One {
            #[tm(name = "in")]
            input: In<Other>,
        }
        #[operator]
        impl One {
            #[on_row(input)]
            fn on_row(&mut self) {}
        }
        assert_eq!(Harness::open::<One>(Config::new().input::<Given>("in")).err().unwrap_or_default(), $want);
    })*};
}

#[test]
fn an_input_that_does_not_fit_is_refused() {
    refused! {
        amount: Decimal<30, 2>, "";
        amount: Decimal<29, 2>, "port in, column amount: it is of type decimal128(30,2), its field takes decimal128(29,2)";
        amount: Decimal<31, 3>, "port in, column amount: it is of type decimal128(30,2), its field takes decimal128(31,3)";
        amount: f64, "port in, column amount: it is of type decimal128(30,2), its field takes f64";
        numbers: i64, "port in, column numbers: it is of type list<i64>, its field takes i64";
        numbers: Vec<i32>, "port in, column numbers: it is of type list<i64>, its field takes list<i32>";
        texts: Vec<Decimal<3, 1>>, "port in, column texts: it is of type list<utf8>, its field takes list<decimal128(3,1)>";
        texts: Vec<Vec<u8>>, "";
    }
}

#[derive(Operator)]
struct ListKey {
    #[tm(name = "in")]
    input: In<AmountOnly>,
    key: Key<Vec<i64>>,
}

#[operator]
impl ListKey {
    #[on_row(input)]
    fn on_row(&mut self) {
        self.key.get();
    }
}

#[test]
fn a_list_is_no_key() {
    let refused = Harness::open::<ListKey>(Config::new().key(["amount"])).err();
    assert_eq!(refused.as_deref(), Some("operator list_key: field key: column key: a list cannot be part of a key"));
}

tidemill::operators!(owned, lent, long, Keeping, Accounts, widen, ListKey);
