//! States that expire, beside a model that keeps the time of each write.

use std::collections::BTreeMap;
use tidemill::prelude::*;
use tidemill::testing::{Config, Harness};

#[derive(Row, Clone, Debug)]
struct Command {
    key: &'static str,
    op: i64,
    n: i64,
}

#[derive(Row)]
struct Input {
    op: i64,
    n: i64,
}

#[derive(Row)]
struct Seen<'a> {
    key: FromKey,
    text: &'a str,
}

#[derive(Row, Debug, PartialEq)]
struct SeenText {
    key: String,
    text: String,
}

#[derive(Operator)]
struct Forgetting {
    #[tm(name = "in")]
    input: In<Input>,
    seen: Out<Seen<'static>>,
    #[tm(ttl = "3ms")]
    value: Value<i64>,
    #[tm(ttl = "5ms", prefetch)]
    list: List<i64>,
    #[tm(ttl = "2ms")]
    map: Map<i64, i64>,
    #[tm(ttl = "1d1h1m1s1ms")]
    day: Value<i64>,
    forever: List<i64>,
    #[tm(processing)]
    tick: Timer,
}

#[operator]
impl Forgetting {
    #[on_row(input)]
    fn on_row(&mut self, row: Input) {
        match row.op {
            0 => {
                self.value.set(row.n);
                self.day.set(row.n);
            }
            1 => *self.value.edit() += row.n,
            2 => {
                self.list.append(row.n);
                self.forever.append(row.n);
            }
            3 => self.map.set(row.n % 4, row.n),
            4 => *self.map.edit(row.n % 4) += row.n,
            5 => self.map.remove(row.n % 4),
            6 => self.list.clear(),
            7 => self.tick.set(Timestamp(row.n)),
            _ => self.look(),
        }
    }

    #[on_fire(tick)]
    fn look(&mut self) {
        let text = format!(
            "{:?} {:?} {:?} {:?} {:?}",
            self.value.get(),
            self.day.get(),
            self.list.iter().collect::<Vec<_>>(),
            self.map.iter().collect::<Vec<_>>(),
            self.forever.len(),
        );
        self.seen.emit(Seen { key: FromKey, text: &text });
    }
}

/// What one key has, each with the time of its last write.
#[derive(Default)]
struct Model {
    value: Option<(i64, i64)>,
    day: Option<(i64, i64)>,
    list: Vec<(i64, i64)>,
    map: BTreeMap<i64, (i64, i64)>,
    forever: usize,
    tick: Option<i64>,
}

const DAY: i64 = (((24 + 1) * 60 + 1) * 60 + 1) * 1000 + 1;

impl Model {
    fn run(&mut self, op: i64, n: i64, now: i64) -> Option<String> {
        let live = |of: Option<(i64, i64)>, ms: i64| of.filter(|(_, at)| now < at + ms * 1000).map(|(n, _)| n);
        match op {
            0 => (self.value, self.day) = (Some((n, now)), Some((n, now))),
            1 => self.value = Some((live(self.value, 3).unwrap_or(0) + n, now)),
            2 => {
                self.list.push((n, now));
                self.forever += 1;
            }
            3 => _ = self.map.insert(n % 4, (n, now)),
            4 => {
                let before = live(self.map.get(&(n % 4)).copied(), 2).unwrap_or(0);
                self.map.insert(n % 4, (before + n, now));
            }
            5 => _ = self.map.remove(&(n % 4)),
            6 => self.list.clear(),
            7 => self.tick = Some(n),
            _ => {
                let list: Vec<i64> = self.list.iter().filter_map(|v| live(Some(*v), 5)).collect();
                let map: Vec<(i64, i64)> = self.map.iter().filter_map(|(k, v)| Some((*k, live(Some(*v), 2)?))).collect();
                return Some(format!("{:?} {:?} {list:?} {map:?} {:?}", live(self.value, 3), live(self.day, DAY), self.forever));
            }
        }
        None
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

fn run(seed: u64) {
    println!("seed {seed}");
    let mut r = Random(seed);
    let mut h = Harness::new::<Forgetting>(Config::new().key(["key"]).shake(seed).input::<Command>("in"));
    let mut models: BTreeMap<&'static str, Model> = BTreeMap::new();
    let mut now = 0;
    for _ in 0..60 {
        let mut want: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let rows: Vec<Command> = (0..r.below(8))
            .map(|_| Command { key: ["a", "b", "c"][r.below(3) as usize], op: r.below(10), n: now + 500 * r.below(9) })
            .collect();
        for c in &rows {
            let seen = models.entry(c.key).or_default().run(c.op, c.n, now);
            want.entry(c.key).or_default().extend(seen);
        }
        h.send("in", rows);
        fire(&mut models, &mut want, now);
        now += 500 * r.below(6);
        if r.below(20) == 0 {
            now += DAY * 1000 - 2000;
        }
        h.advance_processing_time(Timestamp(now));
        fire(&mut models, &mut want, now);
        let mut got: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for seen in h.rows::<SeenText>("seen") {
            got.entry(seen.key).or_default().push(seen.text);
        }
        want.retain(|_, texts| !texts.is_empty());
        assert!(got.iter().map(|(k, v)| (k.as_str(), v)).eq(want.iter().map(|(k, v)| (*k, v))), "{got:?}, want {want:?}");
        for (key, m) in &models {
            let live = |of: &(i64, i64), ms: i64| now < of.1 + ms * 1000;
            let value = m.value.filter(|v| live(v, 3)).map(|v| v.0);
            assert_eq!(h.value::<i64>("value", &[(*key).into()]), value);
            let list: Vec<i64> = m.list.iter().filter(|v| live(v, 5)).map(|v| v.0).collect();
            assert_eq!(h.list::<i64>("list", &[(*key).into()]), list);
            let map: Vec<(i64, i64)> = m.map.iter().filter(|(_, v)| live(v, 2)).map(|(k, v)| (*k, v.0)).collect();
            assert_eq!(h.map::<i64, i64>("map", &[(*key).into()]), map);
        }
    }
}

fn fire(models: &mut BTreeMap<&'static str, Model>, want: &mut BTreeMap<&'static str, Vec<String>>, now: i64) {
    for (key, m) in models {
        if m.tick.is_some_and(|at| at <= now) {
            m.tick = None;
            want.entry(*key).or_default().extend(m.run(8, 0, now));
        }
    }
}

#[test]
fn states_expire_as_the_model_says() {
    for seed in 0..20 {
        run(seed);
    }
}

/// The very moment: at last write + ttl it is gone, a microsecond before it is not. Reading does not renew it, writing does.
#[test]
fn the_moment_of_expiry() {
    let mut h = Harness::new::<Forgetting>(Config::new().key(["key"]).input::<Command>("in"));
    let key = ["a".into()];
    h.send("in", [Command { key: "a", op: 0, n: 5 }]);
    h.advance_processing_time(Timestamp(2_999));
    h.send("in", [Command { key: "a", op: 8, n: 0 }]);
    assert_eq!(h.value::<i64>("value", &key), Some(5));
    h.advance_processing_time(Timestamp(3_000));
    assert_eq!((h.value::<i64>("value", &key), h.value::<i64>("day", &key)), (None, Some(5)));
    h.send("in", [Command { key: "a", op: 1, n: 7 }, Command { key: "a", op: 8, n: 0 }]);
    h.advance_processing_time(Timestamp(5_999));
    assert_eq!(h.value::<i64>("value", &key), Some(7));
    h.advance_processing_time(Timestamp(i64::MAX));
    assert_eq!(h.value::<i64>("value", &key), None);
    h.send("in", [Command { key: "a", op: 0, n: 1 }]);
    assert_eq!(h.value::<i64>("value", &key), Some(1)); // its end is beyond all time
}

#[derive(Operator)]
struct Untimely {
    #[tm(name = "in")]
    input: In<Input>,
    #[tm(ttl = "1h")]
    tick: Timer,
}

#[operator]
impl Untimely {
    #[on_row(input)]
    fn on_row(&mut self) {
        self.tick.delete();
    }
    #[on_fire(tick)]
    fn on_tick(&mut self) {}
}

#[test]
fn only_states_have_a_ttl() {
    let refused = Harness::open::<Untimely>(Config::new().key(["op"])).err();
    assert_eq!(refused.as_deref(), Some("operator untimely: field tick: a timer has no option ttl"));
}

tidemill::operators!(Forgetting, Untimely);
