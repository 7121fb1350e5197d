//! Programs in ordinary Rust with its standard collections: what operators are made of. Each export is `run_name(n) -> checksum`.

use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

fn mix(h: u64, v: u64) -> u64 {
    (h ^ v).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

fn sentences(count: usize) -> String {
    const WORDS: [&str; 12] = [
        "stream", "window", "key", "late", "watermark", "timer", "state", "batch", "barrier", "Ärger", "splits", "a",
    ];
    let mut r = Random(42);
    let mut text = String::new();
    for i in 0..count {
        text.push_str(WORDS[(r.next() % 12) as usize]);
        text.push(if i % 9 == 8 { '\n' } else { ' ' });
    }
    text
}

/// Counts words in a HashMap with string keys, with SipHash as it comes.
#[no_mangle]
pub extern "C" fn run_wordcount(n: u32) -> u64 {
    let text = sentences(3000);
    let mut h = 0;
    for _ in 0..n {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for word in text.split_whitespace() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        let mut list: Vec<_> = counts.into_iter().collect();
        list.sort();
        for (word, count) in list {
            h = mix(h, count + word.len() as u64);
        }
    }
    h
}

/// A BTreeMap under insertion, range scans and removal.
#[no_mangle]
pub extern "C" fn run_btree(n: u32) -> u64 {
    let mut h = 0;
    let mut r = Random(7);
    for _ in 0..n {
        let mut map = BTreeMap::new();
        for i in 0..4000u64 {
            map.insert(r.next() % 10_000, i);
            if i % 3 == 0 {
                map.remove(&(r.next() % 10_000));
            }
            if i % 50 == 0 {
                let low = r.next() % 9_000;
                h = mix(h, map.range(low..low + 500).map(|(k, v)| k ^ v).sum());
            }
        }
        h = mix(h, map.len() as u64);
    }
    h
}

/// Sorts floats and structs, and keeps the largest in a heap.
#[no_mangle]
pub extern "C" fn run_order(n: u32) -> u64 {
    let mut h = 0;
    let mut r = Random(9);
    for _ in 0..n {
        let mut rows: Vec<(f64, u32)> = (0..5000).map(|i| ((r.next() % 100_000) as f64 / 7.0, i)).collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
        let mut heap = BinaryHeap::new();
        for (v, i) in &rows {
            heap.push((v.to_bits() % 1000, *i));
            if heap.len() > 100 {
                heap.pop();
            }
        }
        h = mix(h, heap.into_sorted_vec().iter().map(|x| x.0).sum());
        h = mix(h, rows[2500].1 as u64);
    }
    h
}

/// Parses lines of comma-separated values with quotes into typed fields, and formats a summary.
#[no_mangle]
pub extern "C" fn run_csv(n: u32) -> u64 {
    let mut text = String::new();
    let mut r = Random(11);
    for i in 0..800 {
        text.push_str(&format!("{},\"name, {}\",{}.{:02},{}\n", i, r.next() % 100, r.next() % 1000, r.next() % 100, r.next() % 2 == 0));
    }
    let mut h = 0;
    for _ in 0..n {
        let mut total = 0.0;
        let mut flags = 0u64;
        let mut names = 0usize;
        for line in text.lines() {
            let mut fields = Vec::with_capacity(4);
            let mut quoted = false;
            let mut field = String::new();
            for c in line.chars() {
                match c {
                    '"' => quoted = !quoted,
                    ',' if !quoted => fields.push(std::mem::take(&mut field)),
                    _ => field.push(c),
                }
            }
            fields.push(field);
            total += fields[2].parse::<f64>().unwrap_or(0.0);
            flags += fields[3].parse::<bool>().unwrap_or(false) as u64;
            names += fields[1].len() + fields[0].parse::<usize>().unwrap_or(0);
        }
        let summary = format!("{total:.3} {flags} {names}");
        h = summary.bytes().fold(h, |h, b| mix(h, b as u64));
    }
    h
}

/// A tumbling count by key with a queue of events: the shape of a keyed operator.
#[no_mangle]
pub extern "C" fn run_windows(n: u32) -> u64 {
    let mut h = 0;
    let mut r = Random(13);
    let mut counts: HashMap<u64, (u64, i64)> = HashMap::with_capacity(1024);
    let mut queue = VecDeque::new();
    for _ in 0..n {
        for time in 0..4000i64 {
            queue.push_back((r.next() % 500, time));
            if queue.len() < 16 {
                continue;
            }
            let (key, at) = queue.pop_front().unwrap();
            let cell = counts.entry(key).or_insert((0, at + 100));
            if at >= cell.1 {
                h = mix(h, cell.0);
                *cell = (0, at + 100);
            }
            cell.0 += 1;
        }
        counts.retain(|k, _| k % 3 != 0);
        queue.clear();
    }
    mix(h, counts.values().map(|c| c.0).sum())
}

/// An expression parser over trait objects: calls through tables.
trait Node {
    fn eval(&self, x: i64) -> i64;
}
struct Constant(i64);
struct Variable;
struct Binary(u8, Box<dyn Node>, Box<dyn Node>);

impl Node for Constant {
    fn eval(&self, _: i64) -> i64 {
        self.0
    }
}
impl Node for Variable {
    fn eval(&self, x: i64) -> i64 {
        x
    }
}
impl Node for Binary {
    fn eval(&self, x: i64) -> i64 {
        let (a, b) = (self.1.eval(x), self.2.eval(x));
        match self.0 {
            b'+' => a.wrapping_add(b),
            b'-' => a.wrapping_sub(b),
            b'*' => a.wrapping_mul(b),
            _ => a.checked_div(b).unwrap_or(0),
        }
    }
}

fn expression(text: &mut std::iter::Peekable<std::str::Bytes>) -> Box<dyn Node> {
    let mut left = term(text);
    while let Some(&op @ (b'+' | b'-')) = text.peek() {
        text.next();
        left = Box::new(Binary(op, left, term(text)));
    }
    left
}

fn term(text: &mut std::iter::Peekable<std::str::Bytes>) -> Box<dyn Node> {
    let mut left = factor(text);
    while let Some(&op @ (b'*' | b'/')) = text.peek() {
        text.next();
        left = Box::new(Binary(op, left, factor(text)));
    }
    left
}

fn factor(text: &mut std::iter::Peekable<std::str::Bytes>) -> Box<dyn Node> {
    match text.next() {
        Some(b'(') => {
            let inner = expression(text);
            text.next();
            inner
        }
        Some(b'x') => Box::new(Variable),
        Some(d) => Box::new(Constant((d - b'0') as i64)),
        None => Box::new(Constant(0)),
    }
}

#[no_mangle]
pub extern "C" fn run_expression(n: u32) -> u64 {
    let tree = expression(&mut "(x+3)*(x-2)/((x*x+1)-(5*x/3))+x*(x+(x-(7*(x+9))))".bytes().peekable());
    let mut h = 0;
    for _ in 0..n {
        for x in 0..2000 {
            h = mix(h, tree.eval(x) as u64);
        }
    }
    h
}
