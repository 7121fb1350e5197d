//! The keyed count of the benchmark as a user would write it with the SDK, row by row.

use tidemill::prelude::*;

/// Every TIMER_EVERY-th record, by its time, sets a timer for its key, TIMER_DELAY us later.
const TIMER_EVERY: i64 = 1000;
const TIMER_DELAY: i64 = 1000;

#[derive(Row)]
struct Number {
    at: Timestamp,
}

#[derive(Row)]
struct Counted {
    key: FromKey,
    count: i64, // 0: a timer has fired
}

#[derive(Operator)]
struct Count {
    #[tm(name = "in")]
    input: In<Number>,
    out: Out<Counted>,
    count: Value<i64>,
    #[tm(many)]
    due: Timer,
}

/// Counts the records of each key.
#[operator]
impl Count {
    #[on_row(input)]
    fn on_number(&mut self, number: Number) {
        let count = self.count.edit();
        *count += 1;
        self.out.emit(Counted { key: FromKey, count: *count });
        if number.at.0 % TIMER_EVERY == 0 {
            self.due.set(Timestamp(number.at.0 + TIMER_DELAY));
        }
    }

    #[on_fire(due)]
    fn on_due(&mut self) {
        self.out.emit(Counted { key: FromKey, count: 0 });
    }
}

tidemill::operators!(Count);
