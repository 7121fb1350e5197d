use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: microseconds since 1970-01-01T00:00:00 UTC.
///
/// Columns of type timestamp and timestamp_tz become one; in output rows it makes a timestamp column, or a timestamp_tz column with
/// the option `#[tm(tz)]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

impl Timestamp {
    /// The watermark before the first record, and the event time of a row that has none.
    pub const NONE: Timestamp = Timestamp(i64::MIN);
    /// The watermark after the last record.
    pub const END: Timestamp = Timestamp(i64::MAX);

    /// The timestamp of a UTC date and time of day.
    pub const fn at(year: i32, month: u32, day: u32, hour: u32, minute: u32, second: u32) -> Timestamp {
        let days = Date::of(year, month, day).0 as i64;
        Timestamp(days * DAY + (hour as i64 * 3600 + minute as i64 * 60 + second as i64) * SECOND)
    }

    /// Microseconds from `earlier` to this.
    pub const fn micros_since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// The last multiple of `step`, counted from 1970, that is not after this. `step` is a microsecond at least.
    pub const fn truncate(self, step: Duration) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(step.as_micros() as i64))
    }

    /// The day in UTC.
    pub const fn date(self) -> Date {
        Date(self.0.div_euclid(DAY) as i32)
    }
}

impl Add<Duration> for Timestamp {
    type Output = Timestamp;
    fn add(self, d: Duration) -> Timestamp {
        Timestamp(self.0 + d.as_micros() as i64)
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Timestamp;
    fn sub(self, d: Duration) -> Timestamp {
        Timestamp(self.0 - d.as_micros() as i64)
    }
}

/// RFC 3339 in UTC; `none` and `end` for the ends of time.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Timestamp::NONE => return f.write_str("none"),
            Timestamp::END => return f.write_str("end"),
            _ => {}
        }
        let day = self.0.rem_euclid(DAY);
        let (second, micros) = (day / SECOND, day % SECOND);
        write!(f, "{}T{:02}:{:02}:{:02}", self.date(), second / 3600, second / 60 % 60, second % 60)?;
        if micros > 0 {
            let digits = format!("{micros:06}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

/// A day: days since 1970-01-01. It is a column of type date32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Date(pub i32);

/// Days of 400 years, after which the calendar repeats, and from 0000-03-01 to 1970-01-01. Years that begin in March have their leap
/// day at the end, which makes the formulas short (H. Hinnant, "chrono-compatible low-level date algorithms").
const ERA: i64 = 146_097;
const EPOCH: i64 = 719_468;

impl Date {
    /// The day of a year, month (1 to 12) and day of the month in the Gregorian calendar.
    pub const fn of(year: i32, month: u32, day: u32) -> Date {
        let y = year as i64 - if month <= 2 { 1 } else { 0 };
        let of_era = y.rem_euclid(400);
        let of_year = (153 * ((month as i64 + 9) % 12) + 2) / 5 + day as i64 - 1;
        Date((y.div_euclid(400) * ERA + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH) as i32)
    }

    /// The first moment of the day in UTC.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0 as i64 * DAY)
    }

    /// Year, month and day of the month.
    pub const fn parts(self) -> (i32, u32, u32) {
        let days = self.0 as i64 + EPOCH;
        let of_era = days.rem_euclid(ERA);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153; // from March
        let day = of_year - (153 * month + 2) / 5 + 1;
        let year = days.div_euclid(ERA) * 400 + year_of_era + if month >= 10 { 1 } else { 0 };
        (year as i32, ((month + 2) % 12 + 1) as u32, day as u32)
    }
}

/// The day as 2006-01-02.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.parts();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_dates_and_names() {
        for (at, date, text) in [
            (Timestamp(0), "1970-01-01", "1970-01-01T00:00:00Z"),
            (Timestamp(-1), "1969-12-31", "1969-12-31T23:59:59.999999Z"),
            (
                Timestamp::at(2013, 2, 28, 23, 59, 59) + Duration::from_nanos(999_999_999),
                "2013-02-28",
                "2013-02-28T23:59:59.999999Z",
            ),
            (Timestamp::at(2024, 2, 29, 0, 0, 0), "2024-02-29", "2024-02-29T00:00:00Z"),
            (Timestamp::at(1900, 3, 1, 12, 0, 0) + Duration::from_millis(120), "1900-03-01", "1900-03-01T12:00:00.12Z"),
            (Timestamp::NONE, "", "none"),
            (Timestamp::END, "", "end"),
        ] {
            assert_eq!(at.to_string(), text);
            if date.is_empty() {
                continue;
            }
            assert_eq!(at.date().to_string(), date);
            let start = at.date().start();
            assert!(start <= at && at.micros_since(start) < DAY);
            for step in [Duration::from_micros(1), Duration::from_secs(1), Duration::from_secs(3600), Duration::from_secs(420)] {
                let cut = at.truncate(step);
                assert!(cut <= at && cut + step > at && cut.0 % step.as_micros() as i64 == 0, "{at} cut to {step:?} is {cut}");
            }
        }
    }

    /// Walks through four centuries day by day, by the rule for leap years.
    #[test]
    fn the_calendar_is_the_gregorian() {
        let (mut year, mut month, mut day) = (1800, 1, 1);
        for n in Date::of(1800, 1, 1).0..Date::of(2210, 1, 1).0 {
            assert_eq!(Date(n).parts(), (year, month, day));
            assert_eq!(Date::of(year, month, day), Date(n));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize - 1];
            day += 1;
            if day > last {
                (month, day) = (month + 1, 1);
            }
            if month > 12 {
                (year, month) = (year + 1, 1);
            }
        }
        assert_eq!((year, month, day), (2210, 1, 1));
        assert_eq!(Date::of(1970, 1, 1), Date(0));
    }
}
