//! The guest that the sandbox's tests run beside their model: for each row (k, n) it counts the rows of k, how often k saw n, keeps all
//! n in a list, and sets a timer at n, which emits what there is then. A negative n makes a row fail, each number in its own way. The
//! operator columnar does the same by columns. The operators idle and reads do nothing, for measuring what a call and a row cost.

use std::hint::black_box;
use tidemill::prelude::*;

#[derive(Row)]
struct Input {
    n: i64,
}

#[derive(Row)]
struct Output {
    k: FromKey,
    n: FromInput,
    count: i64,
    seen: i64,
    payload: FromInput,
}

#[derive(Row)]
struct Summary<'a> {
    k: FromKey,
    count: i64,
    sum: i64,
    list: &'a str,
}

/// What the operators keep, and how they sum it up.
#[derive(Operator)]
struct Kept {
    fired: Out<Summary<'static>>,
    count: Value<i64>,
    seen: Map<i64, i64>,
    list: List<i64>,
    #[tm(many)]
    at: Timer,
    rows: Counter,
}

impl Kept {
    /// Keeps a row of the current key. A row that fails has been kept before, which must not take effect.
    fn record(&self, n: i64) -> (i64, i64) {
        let count = self.count.get().unwrap_or(0) + 1;
        self.count.set(count);
        let seen = self.seen.get(n).unwrap_or(0) + 1;
        self.seen.set(n, seen);
        self.list.append(n);
        self.at.set(Timestamp(n));
        self.rows.add(1);
        (count, seen)
    }

    fn summarize(&self) {
        let sum = self.seen.iter().map(|(_, times)| times).sum();
        let list: Vec<String> = self.list.iter().map(|n| n.to_string()).collect();
        let count = self.count.get().unwrap_or(0);
        self.fired.emit(Summary { k: FromKey, count, sum, list: &format!("[{}]", list.join(" ")) });
    }
}

#[derive(Operator)]
struct Ledger {
    #[tm(name = "in")]
    input: In<Input>,
    #[tm(name = "rows")]
    out: Out<Output>,
    #[tm(flatten)]
    kept: Kept,
}

/// Counts, and fails in many ways.
#[operator]
impl Ledger {
    #[on_row(input)]
    fn on_row(&mut self, row: &Input) -> Result {
        let (count, seen) = self.kept.record(row.n);
        self.out.emit(Output { k: FromKey, n: FromInput, count, seen, payload: FromInput });
        if row.n < 0 {
            return Err(fail(row.n));
        }
        Ok(())
    }

    #[on_fire(kept.at)]
    fn on_fire(&mut self) {
        self.kept.summarize();
    }
}

/// An error, or something worse.
fn fail(n: i64) -> Error {
    match n {
        -1 => return Error::new("bad row"),
        -2 => panic!("bad row"),
        -3 => return Error::new([0, 1][black_box(n + 5) as usize].to_string()),
        -4 => loop {
            black_box(n);
        },
        -5 => std::process::abort(),
        -6 => {
            let mut all = Vec::new();
            loop {
                all.push(black_box(vec![1u8; 1 << 20]));
            }
        }
        -7 => return Error::new((black_box(n) / black_box(0)).to_string()),
        _ => {}
    }
    Error::new(descend(n).to_string())
}

/// Never returns: the sum keeps each call on the stack.
#[allow(unconditional_recursion)] // that is its purpose
fn descend(n: i64) -> i64 {
    black_box(descend(black_box(n) - 1)) + n
}

#[derive(Columns)]
struct InputColumns<'a> {
    n: &'a [i64],
}

#[derive(Columns)]
struct OutputColumns<'a> {
    k: FromKey,
    n: FromInput,
    count: &'a [i64],
    seen: &'a [i64],
    payload: FromInput,
}

#[derive(Operator)]
struct Columnar {
    #[tm(name = "in")]
    input: BatchIn<InputColumns<'static>>,
    #[tm(name = "rows")]
    out: BatchOut<OutputColumns<'static>>,
    #[tm(flatten)]
    kept: Kept,
    #[local]
    count: Vec<i64>, // memory for what is emitted
    #[local]
    seen: Vec<i64>,
}

/// Does what ledger does, by columns.
#[operator]
impl Columnar {
    #[on_batch(input)]
    fn on_batch(&mut self, columns: InputColumns<'_>, batch: Batch<'_>) -> Result {
        self.count.clear();
        self.seen.clear();
        for (i, n) in columns.n.iter().enumerate() {
            batch.select(i);
            let (count, seen) = self.kept.record(*n);
            self.count.push(count);
            self.seen.push(seen);
            if *n < 0 {
                return Err(fail(*n));
            }
        }
        self.out.emit(OutputColumns { k: FromKey, n: FromInput, count: &self.count, seen: &self.seen, payload: FromInput });
        Ok(())
    }

    #[on_fire(kept.at)]
    fn on_fire(&mut self) {
        self.kept.summarize();
    }
}

#[derive(Columns)]
struct Pair<'a> {
    #[allow(dead_code)] // it is read into the module and not looked at
    a: &'a [i64],
    #[allow(dead_code)]
    b: &'a [i64],
}

#[derive(Operator)]
struct Idle {
    #[tm(name = "in")]
    input: BatchIn<Pair<'static>>,
}

/// Takes batches and does not look at them.
#[operator]
impl Idle {
    #[on_batch(input)]
    fn on_batch(&mut self) {}
}

#[derive(Row)]
struct PairRow {
    a: i64,
    b: i64,
}

#[derive(Operator)]
struct Reads {
    #[tm(name = "in")]
    input: In<PairRow>,
}

/// Reads its rows and does nothing.
#[operator]
impl Reads {
    #[on_row(input)]
    fn on_row(&mut self, row: PairRow) {
        black_box((row.a, row.b));
    }
}

tidemill::operators!(Ledger, Columnar, Idle, Reads);
