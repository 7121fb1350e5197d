use crate::{Delays, Departures, Route, Totals};
use std::collections::HashMap;
use std::time::Duration;
use tidemill::testing::{Config, Harness};
use tidemill::{Date, Row, Timestamp};

/// A flight as the job reads it.
#[derive(Row, Clone, Debug, PartialEq)]
struct Flight {
    carrier: String,
    flight: i32,
    origin: String,
    dest: String,
    dep_time: Option<i32>,
    dep_delay: Option<i32>,
    time_hour: Timestamp,
}

/// A row of daily with the types that the host's columns have.
#[derive(Row, Clone, Debug, PartialEq)]
struct Summary {
    carrier: String,
    day: String,
    flights: i64,
    cancelled: i64,
    delayed: i64,
    mean_delay_min: Option<f64>,
    max_delay_min: Option<i32>,
    worst_dest: Option<String>,
}

/// A row of alerts.
#[derive(Row, Debug)]
struct Warning {
    carrier: String,
    flight: i32,
    origin: String,
    dest: String,
    day: String,
    dep_delay: Option<i32>,
}

fn open(shake: u64, threshold: i32, alert: i32) -> Harness {
    let config = Config::new().key(["carrier"]).event_time("time_hour").shake(shake).input::<Flight>("in");
    Harness::new::<Delays>(config.param("threshold_minutes", threshold).param("alert_minutes", alert))
}

/// Runs the committed month, in batches with the watermark a day behind as the job has it, and compares all rows with those of
/// expected.py.
#[test]
fn the_month_equals_the_script() {
    let flights = read_flights();
    for (i, (threshold, alert)) in [(30, 120), (15, 60)].into_iter().enumerate() {
        let mut h = open(i as u64, threshold, alert);
        let mut newest = Timestamp::NONE;
        for batch in flights.chunks(700) {
            h.send("in", batch.iter().cloned());
            newest = batch.iter().fold(newest, |newest, f| newest.max(f.time_hour));
            h.advance_watermark(newest - Duration::from_secs(24 * 3600));
        }
        h.end();
        assert_eq!(h.rows::<Flight>("late"), []);
        let daily = h.rows::<Summary>("daily").into_iter().map(|s| {
            let mean = s.mean_delay_min.map_or("null".into(), |m| m.to_string());
            let max = s.max_delay_min.map_or("null".into(), |m| m.to_string());
            let worst = s.worst_dest.map_or("null".into(), |w| format!("{w:?}"));
            let counts = format!(r#""flights":{},"cancelled":{},"delayed":{}"#, s.flights, s.cancelled, s.delayed);
            let delays = format!(r#""mean_delay_min":{mean},"max_delay_min":{max},"worst_dest":{worst}"#);
            format!(r#"{{"carrier":{:?},"day":{:?},{counts},{delays}}}"#, s.carrier, s.day)
        });
        compare(&format!("expected-{threshold}-{alert}/daily.jsonl"), daily.collect());
        let alerts = h.rows::<Warning>("alerts").into_iter().map(|w| {
            let delay = w.dep_delay.unwrap_or_default();
            let route = format!(r#""origin":{:?},"dest":{:?}"#, w.origin, w.dest);
            format!(r#"{{"carrier":{:?},"flight":{},{route},"day":{:?},"dep_delay":{delay}}}"#, w.carrier, w.flight, w.day)
        });
        compare(&format!("expected-{threshold}-{alert}/alerts.jsonl"), alerts.collect());
    }
}

fn read(name: &str) -> String {
    let path = format!("{}/../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

fn read_flights() -> Vec<Flight> {
    let text = read("flights.csv");
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let flights = lines.map(|line| {
        let row: HashMap<&str, &str> = names.iter().copied().zip(line.split(',')).collect();
        let number = |name: &str| row[name].parse::<i32>().ok(); // NA is none
        Flight {
            carrier: row["carrier"].into(),
            flight: number("flight").expect("a flight has a number"),
            origin: row["origin"].into(),
            dest: row["dest"].into(),
            dep_time: number("dep_time"),
            dep_delay: number("dep_delay"),
            time_hour: time(row["time_hour"]),
        }
    });
    flights.collect()
}

/// A time like 2013-01-01T10:00:00Z.
fn time(text: &str) -> Timestamp {
    let parts: Vec<u32> = text.split(|c: char| !c.is_ascii_digit()).filter_map(|p| p.parse().ok()).collect();
    Timestamp::at(parts[0] as i32, parts[1], parts[2], parts[3], parts[4], parts[5])
}

/// Compares rows with those of a file, as text: the script writes the columns in the port's order.
fn compare(file: &str, mut rows: Vec<String>) {
    let text = read(file);
    let mut want: Vec<&str> = text.lines().collect();
    want.sort();
    rows.sort();
    assert_eq!(rows.len(), want.len(), "{file}");
    for (got, want) in rows.iter().zip(want) {
        assert_eq!(got, want, "{file}");
    }
}

const NOON: Timestamp = Timestamp::at(2013, 5, 4, 12, 0, 0);

/// A flight that left so many minutes late.
fn departed(dest: &str, delay: i32) -> Flight {
    Flight { flight: 7, dep_time: Some(1200), dep_delay: Some(delay), ..cancelled(dest) }
}

fn cancelled(dest: &str) -> Flight {
    Flight {
        carrier: "TM".into(),
        flight: 8,
        origin: "JFK".into(),
        dest: dest.into(),
        dep_time: None,
        dep_delay: None,
        time_hour: NOON,
    }
}

/// Eight departures with delays that add up to a sum.
fn eight(sum: i32) -> Vec<Flight> {
    let mut flights = vec![departed("ATL", 0); 7];
    flights.push(departed("ATL", sum));
    flights
}

#[test]
fn a_day() {
    let day = |flights, cancelled, delayed, mean, max, worst: Option<&str>| Summary {
        carrier: "TM".into(),
        day: "2013-05-04".into(),
        flights,
        cancelled,
        delayed,
        mean_delay_min: mean,
        max_delay_min: max,
        worst_dest: worst.map(Into::into),
    };
    let with = |flights: &[(&str, i32)]| flights.iter().map(|(dest, delay)| departed(dest, *delay)).collect::<Vec<_>>();
    let few = [with(&[("ATL", 5), ("ATL", 5), ("BOS", 29)]), vec![cancelled("BOS")]].concat();
    let equal = with(&[
        ("DEN", 20),
        ("DEN", 20),
        ("DEN", 20),
        ("DEN", 20),
        ("BOS", 30),
        ("BOS", 10),
        ("BOS", 20),
        ("ATL", 90),
        ("ATL", 90),
    ]);
    for (name, mut flights, want) in [
        ("all are cancelled: nothing is known of delays", vec![cancelled("ATL"); 3], day(3, 3, 0, None, None, None)),
        ("two departures to a place are too few", few, day(4, 1, 0, Some(13.0), Some(29), None)),
        ("among equal means the first name counts", equal, day(9, 0, 3, Some(35.56), Some(90), Some("BOS"))),
        ("all leave early", with(&[("ATL", -9), ("ATL", -4), ("ATL", -2)]), day(3, 0, 0, Some(-5.0), Some(-2), Some("ATL"))),
        ("half a hundredth is rounded away from zero", eight(1), day(8, 0, 0, Some(0.13), Some(1), Some("ATL"))),
        ("below zero too", eight(-1), day(8, 0, 0, Some(-0.13), Some(0), Some("ATL"))),
    ] {
        for shake in 0..4 {
            let mut h = open(shake, 30, 120);
            h.send("in", flights.iter().cloned());
            flights.reverse(); // the order in which splits deliver does not matter
            h.end();
            assert_eq!(h.rows::<Summary>("daily"), std::slice::from_ref(&want), "{name}");
        }
    }
}

/// What comes when its hour is past changes no day and raises no alert, whether its day is still open or not.
#[test]
fn a_late_flight_goes_to_late_only() {
    let last = Timestamp((NOON + Duration::from_secs(12 * 3600)).0 - 1); // the last moment of the day
    for shake in 0..4 {
        let mut h = open(shake, 30, 120);
        h.send("in", [departed("ATL", 10)]);
        let late = departed("BOS", 500);
        h.advance_watermark(NOON);
        h.send("in", [late.clone(), Flight { time_hour: Timestamp(NOON.0 + 1), ..departed("DEN", 130) }]);
        h.advance_watermark(last);
        h.send("in", [cancelled("ATL"), late.clone()]);
        h.end();
        let daily: Vec<_> = h.rows::<Summary>("daily").into_iter().map(|s| (s.flights, s.delayed, s.mean_delay_min)).collect();
        assert_eq!(daily, [(2, 1, Some(70.0))]);
        let alerts: Vec<_> = h.rows::<Warning>("alerts").into_iter().map(|w| w.dest).collect();
        assert_eq!(alerts, ["DEN"]);
        assert_eq!(h.rows::<Flight>("late"), [late.clone(), cancelled("ATL"), late]);
    }
}

/// Nothing is left of a day that is over.
#[test]
fn a_day_is_forgotten() {
    let mut h = open(0, 30, 120);
    h.send("in", [departed("ATL", 10), departed("BOS", 10)]);
    let carrier = ["TM".into()];
    assert_eq!((h.map::<Date, Totals>("days", &carrier).len(), h.timers(&carrier).len()), (1, 1));
    h.advance_watermark(Timestamp((NOON + Duration::from_secs(12 * 3600)).0 - 1));
    assert_eq!(h.map::<Date, Totals>("days", &carrier), []);
    assert_eq!(h.map::<Route<'_>, Departures>("routes", &carrier), []);
    assert_eq!(h.timers(&carrier), []);
}
