//! An operator, keyed by card, that looks at each card's transactions in the order in which they were made and raises an alert where they
//! look like fraud.

use std::time::Duration;
use tidemill::prelude::*;

/// A row of port in.
#[derive(Row)]
struct Transaction<'a> {
    id: i64,
    #[tm(event_time)]
    time: Timestamp,
    amount_cents: i64,
    country: &'a str,
    present: bool, // the card was at the terminal
}

/// A row of port alerts. A transaction raises one for each rule that it breaks.
#[derive(Row)]
struct Alert<'a> {
    #[tm(all)]
    key: FromKey,
    id: i64,
    rule: &'a str,
    time: Timestamp,
    amount_cents: i64,
}

/// Puts a card's transactions in order.
#[derive(Row, Clone, Copy)]
struct Moment {
    time: Timestamp,
    id: i64,
}

/// What is kept of a transaction until its turn comes.
#[derive(Row, Clone, Copy)]
struct Charge<'a> {
    amount_cents: i64,
    country: &'a str,
    present: bool,
}

/// What the rules need to know of a card besides its last minutes. The times are NONE until there is one.
#[derive(Row)]
struct History<'a> {
    small: Timestamp, // of the last small charge without the card
    seen: Timestamp,  // the card was last at a terminal
    country: &'a str, // and there
}

#[derive(Operator)]
struct Fraud {
    /// a charge of at most so much, without the card, may be a probe
    #[param(default = 100)]
    small_cents: i64,
    /// a charge of so much or more is worth stealing a number for
    #[param(default = 50_000)]
    dear_cents: i64,
    /// seconds from a small charge within which a dear one is suspicious
    #[param(default = 600)]
    probe_window_s: i64,
    /// so many charges within burst_window_s are suspicious
    #[param(default = 6)]
    burst_count: i64,
    /// seconds in which charges are counted
    #[param(default = 120)]
    burst_window_s: i64,
    /// seconds within which a card cannot be in two countries
    #[param(default = 3600)]
    clone_window_s: i64,

    #[tm(name = "in")]
    transactions: In<Transaction<'static>>,
    alerts: Out<Alert<'static>>,
    late: Out<FromInput>, // transactions that came after their turn
    history: Value<History<'static>>,
    pending: Map<Moment, Charge<'static>>, // transactions whose turn has not come
    recent: Map<Moment, i64>,              // amounts of the last burst_window_s
    #[tm(many)]
    due: Timer,             // the turn of the transactions of a moment
    context: Context,
}

/// Raises alerts for card transactions that look like fraud.
#[operator]
impl Fraud {
    /// Keeps a transaction until no earlier one can come: they arrive out of order.
    #[on_row(transactions)]
    fn on_transaction(&mut self, t: Transaction<'_>) {
        if t.time <= self.context.watermark() {
            self.late.emit(FromInput);
            return;
        }
        let charge = Charge { amount_cents: t.amount_cents, country: t.country, present: t.present };
        self.pending.set(Moment { time: t.time, id: t.id }, charge);
        self.due.set(t.time);
    }

    #[on_fire(due)]
    fn on_due(&mut self, fired: Fired<'_>) {
        let next = Timestamp(fired.time.0 + 1);
        for (moment, charge) in self.pending.range(Moment { time: fired.time, id: 0 }, Moment { time: next, id: 0 }) {
            self.judge(moment, charge);
            self.pending.remove(moment);
        }
    }

    /// Holds a transaction against the rules, after all earlier ones of the card.
    fn judge(&self, m: Moment, c: Charge<'_>) {
        let mut h = self.history.get().unwrap_or(History { small: Timestamp::NONE, seen: Timestamp::NONE, country: "" });
        if !c.present && c.amount_cents >= self.dear_cents && within(h.small, m.time, self.probe_window_s) {
            self.raise("probe", m, c);
        }
        if self.burst(m, c) >= self.burst_count {
            self.raise("burst", m, c);
        }
        if c.present && c.country != h.country && within(h.seen, m.time, self.clone_window_s) {
            self.raise("clone", m, c);
        }
        if c.present {
            (h.seen, h.country) = (m.time, c.country);
        } else if c.amount_cents <= self.small_cents {
            h.small = m.time;
        }
        self.history.set(h);
    }

    /// Notes a charge and returns how many there were within the window that ends with it.
    fn burst(&self, m: Moment, c: Charge<'_>) -> i64 {
        self.recent.set(m, c.amount_cents);
        let from = m.time - Duration::from_secs(self.burst_window_s.unsigned_abs());
        let mut n = 0;
        for (r, _) in &self.recent {
            if r.time < from {
                self.recent.remove(r);
            } else {
                n += 1;
            }
        }
        n
    }

    fn raise(&self, rule: &str, m: Moment, c: Charge<'_>) {
        self.alerts.emit(Alert { key: FromKey, id: m.id, rule, time: m.time, amount_cents: c.amount_cents });
    }
}

/// Whether a moment is at most so many seconds after an earlier one, if that was at all.
fn within(earlier: Timestamp, at: Timestamp, seconds: i64) -> bool {
    earlier != Timestamp::NONE && at.micros_since(earlier) <= seconds * 1_000_000
}

tidemill::operators!(Fraud);

#[cfg(test)]
mod tests;
