//! An operator, keyed by carrier, that sums up each carrier's day and raises an alert for each flight that left very late.

use tidemill::prelude::*;

/// What the operator reads of a flight. A cancelled one has no dep_time.
#[derive(Row)]
struct Flight<'a> {
    dest: &'a str,
    dep_time: Option<i32>,
    dep_delay: Option<i32>, // minutes
    #[tm(event_time)]
    at: Timestamp,
}

/// A carrier's day, in UTC.
#[derive(Row)]
struct Daily<'a> {
    #[tm(all)]
    key: FromKey,
    day: &'a str,
    flights: i64,
    cancelled: i64,
    delayed: i64,
    mean_delay_min: Option<f64>,
    max_delay_min: Option<i32>,
    worst_dest: Option<&'a str>,
}

/// A flight that left very late.
#[derive(Row)]
struct Alert<'a> {
    carrier: FromInput,
    flight: FromInput,
    origin: FromInput,
    dest: FromInput,
    day: &'a str,
    dep_delay: FromInput,
}

/// What is summed up of a carrier's day.
#[derive(Row, Clone, Debug, Default, PartialEq)]
struct Totals {
    flights: i64,
    departed: i64,
    delayed: i64,
    sum: i64, // of delays, minutes
    max: i32, // zero until a flight has departed
}

/// A destination on a day: all of a day lie together in the map, the names ascending.
#[derive(Row, Clone, Copy, Debug, PartialEq)]
struct Route<'a> {
    day: Date,
    dest: &'a str,
}

/// Departures to a destination on a day.
#[derive(Row, Clone, Copy, Debug, Default, PartialEq)]
struct Departures {
    flights: i64,
    sum: i64,
}

/// So many departures make a destination comparable.
const ROUTE_FLIGHTS_MIN: i64 = 3;

#[derive(Operator)]
struct Delays {
    /// a flight that leaves so many minutes late counts as delayed
    #[param(name = "threshold_minutes", default = 30)]
    threshold: i32,
    /// a flight that leaves so many minutes late raises an alert
    #[param(name = "alert_minutes", default = 120)]
    alert: i32,

    #[tm(name = "in")]
    flights: In<Flight<'static>>,
    daily: Out<Daily<'static>>,
    alerts: Out<Alert<'static>>,
    /// flights of a day that is closed already
    late: Out<FromInput>,
    #[tm(prefetch)]
    days: Map<Date, Totals>,
    #[tm(prefetch)]
    routes: Map<Route<'static>, Departures>,
    /// the end of a day
    #[tm(many)]
    close: Timer,
    context: Context,
}

/// Sums up each carrier's day and raises an alert for each flight that left very late.
#[operator]
impl Delays {
    #[on_row(flights)]
    fn on_flight(&mut self, flight: Flight<'_>) {
        if flight.at <= self.context.watermark() {
            self.late.emit(FromInput);
            return;
        }
        let day = flight.at.date();
        let totals = self.days.edit(day);
        if totals.flights == 0 {
            self.close.set(Timestamp(Date(day.0 + 1).start().0 - 1));
        }
        totals.flights += 1;
        if flight.dep_time.is_some() {
            let delay = flight.dep_delay.unwrap_or(0);
            if totals.departed == 0 || delay > totals.max {
                totals.max = delay;
            }
            totals.departed += 1;
            totals.sum += i64::from(delay);
            totals.delayed += i64::from(delay >= self.threshold);
            let route = self.routes.edit(Route { day, dest: flight.dest });
            route.flights += 1;
            route.sum += i64::from(delay);
        }
        if flight.dep_delay.is_some_and(|delay| delay >= self.alert) {
            let (carrier, number, origin, dest, dep_delay) = (FromInput, FromInput, FromInput, FromInput, FromInput);
            self.alerts.emit(Alert { carrier, flight: number, origin, dest, day: &day.to_string(), dep_delay });
        }
    }

    /// Sums up the day that has ended and forgets it.
    #[on_fire(close)]
    fn on_close(&mut self, fired: Fired<'_>) {
        let day = fired.time.date();
        let totals = self.days.get(day).unwrap_or_default();
        let departed = totals.departed > 0;
        let (mut worst_dest, mut worst) = (None, Departures::default());
        for (route, d) in self.routes.range(Route { day, dest: "" }, Route { day: Date(day.0 + 1), dest: "" }) {
            // d.sum / d.flights > worst.sum / worst.flights in whole numbers; names ascend, so the first of equals stays
            if d.flights >= ROUTE_FLIGHTS_MIN && (worst_dest.is_none() || d.sum * worst.flights > worst.sum * d.flights) {
                (worst_dest, worst) = (Some(route.dest), d);
            }
            self.routes.remove(route);
        }
        self.days.remove(day);
        self.daily.emit(Daily {
            key: FromKey,
            day: &day.to_string(),
            flights: totals.flights,
            cancelled: totals.flights - totals.departed,
            delayed: totals.delayed,
            mean_delay_min: departed.then(|| hundredths(totals.sum, totals.departed) as f64 / 100.0),
            max_delay_min: departed.then_some(totals.max),
            worst_dest,
        });
    }
}

/// sum/n in hundredths, rounded half away from zero.
fn hundredths(sum: i64, n: i64) -> i64 {
    sum.signum() * ((sum.abs() * 200 + n) / (2 * n))
}

tidemill::operators!(Delays);

#[cfg(test)]
mod tests;
