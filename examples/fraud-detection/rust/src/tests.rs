use crate::Fraud;
use std::time::Duration;
use tidemill::testing::{Config, Harness};
use tidemill::{Row, Timestamp};

/// A transaction as the job reads it.
#[derive(Row, Clone, Debug, PartialEq)]
struct Input {
    id: i64,
    card: String,
    time: Timestamp,
    amount_cents: i64,
    country: String,
    present: bool,
}

/// An alert with the types that the host's columns have.
#[derive(Row, Debug, PartialEq)]
struct Raised {
    card: String,
    id: i64,
    rule: String,
    time: Timestamp,
    amount_cents: i64,
}

fn open(shake: u64) -> Harness {
    Harness::new::<Fraud>(Config::new().key(["card"]).event_time("time").shake(shake).input::<Input>("in"))
}

fn read(name: &str) -> String {
    let path = format!("{}/../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Runs the week as it arrives, with the watermark five minutes behind, and compares the alerts with those of expected.py.
#[test]
fn the_week() {
    let week = week();
    let text = read("expected.jsonl");
    let mut want: Vec<&str> = text.lines().collect();
    want.sort();
    for size in [97, 4096] {
        let mut h = open(size);
        let mut newest = Timestamp::NONE;
        for batch in week.chunks(size as usize) {
            h.send("in", batch.iter().cloned());
            newest = batch.iter().fold(newest, |newest, t| newest.max(t.time));
            h.advance_watermark(newest - Duration::from_secs(300));
        }
        h.end();
        assert_eq!(h.rows::<Input>("late"), []);
        let alerts = h.rows::<Raised>("alerts").into_iter().map(|a| {
            let rest = format!(r#""time":"{}","amount_cents":{}"#, a.time, a.amount_cents);
            format!(r#"{{"card":{:?},"id":{},"rule":{:?},{rest}}}"#, a.card, a.id, a.rule)
        });
        let mut got: Vec<String> = alerts.collect();
        got.sort();
        assert_eq!(got, want, "batches of {size}");
    }
}

/// Sends one transaction behind the watermark: it goes to port late and nowhere else.
#[test]
fn a_late_transaction() {
    let mut h = open(1);
    let noon = Timestamp::at(2026, 3, 1, 12, 0, 0);
    let input = |id: i64, second: u64, country: &str| {
        let (card, time) = ("a".into(), noon + Duration::from_secs(second));
        Input { id, card, time, amount_cents: 500, country: country.into(), present: true }
    };
    h.send("in", (0..6).map(|i| input(i, i as u64, "DE")));
    h.advance_watermark(noon + Duration::from_secs(60));
    let alerts: Vec<_> = h.rows::<Raised>("alerts").into_iter().map(|a| (a.id, a.rule)).collect();
    assert_eq!(alerts, [(5, "burst".into())]);
    h.send("in", [input(7, 30, "FR")]);
    h.end();
    assert_eq!(h.rows::<Input>("late"), [input(7, 30, "FR")]);
    assert_eq!(h.rows::<Raised>("alerts"), []);
}

fn week() -> Vec<Input> {
    let text = read("transactions.csv");
    let rows = text.lines().skip(1).map(|line| {
        let row: Vec<&str> = line.split(',').collect();
        let number = |i: usize| row[i].parse().expect("a number");
        let (card, country) = (row[1].into(), row[4].into());
        Input { id: number(0), card, time: time(row[2]), amount_cents: number(3), country, present: row[5] == "true" }
    });
    rows.collect()
}

/// A time like 2026-03-01T06:00:25.55033Z.
fn time(text: &str) -> Timestamp {
    let (seconds, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), ""));
    let p: Vec<u32> = seconds.split(['-', 'T', ':']).map(|p| p.parse().expect("a part of a time")).collect();
    let micros = format!("{fraction:0<6}").parse().expect("a fraction of a second");
    Timestamp::at(p[0] as i32, p[1], p[2], p[3], p[4], p[5]) + Duration::from_micros(micros)
}
