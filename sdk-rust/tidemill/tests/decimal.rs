//! Decimals, beside models that count in whole numbers.

use tidemill::{Decimal, DecimalError};

/// Random numbers from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e3779b97f4a7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d049bb133111eb);
        z ^ z >> 31
    }

    /// A number of up to so many digits, often a short one.
    fn unscaled(&mut self, digits: u32) -> i128 {
        let n = i128::from(self.next()) << 64 | i128::from(self.next());
        n % 10i128.pow(1 + self.next() as u32 % digits)
    }
}

/// All texts of up to n of the digits.
fn texts(digits: &str, n: usize) -> Vec<String> {
    let mut list = vec![String::new()];
    let mut from = 0;
    for _ in 0..n {
        let to = list.len();
        for i in from..to {
            list.extend(digits.chars().map(|d| format!("{}{d}", list[i])).collect::<Vec<_>>());
        }
        from = to;
    }
    list
}

/// What a text of whole digits and digits behind the point is in units of a type, as a fraction that must come out even.
fn model(sign: &str, whole: &str, point: &str, fraction: &str, digits: u32, scale: u32) -> Result<i128, DecimalError> {
    if whole.len() + fraction.len() == 0 || point.is_empty() && !fraction.is_empty() {
        return Err(DecimalError::Syntax);
    }
    let all: i128 = format!("{whole}{fraction}").parse().expect("digits");
    let (units, part) = (all * 10i128.pow(scale), 10i128.pow(fraction.len() as u32));
    if units % part != 0 || units / part >= 10i128.pow(digits) {
        return Err(DecimalError::Digits { digits, scale });
    }
    Ok(if sign == "-" { -units / part } else { units / part })
}

fn parses<const P: u32, const S: u32>() {
    for sign in ["", "-", "+"] {
        for whole in texts("019", 4) {
            for (point, fractions) in [("", vec![String::new()]), (".", texts("059", 4))] {
                for fraction in fractions {
                    let text = format!("{sign}{whole}{point}{fraction}");
                    let got = text.parse::<Decimal<P, S>>().map(Decimal::unscaled);
                    assert_eq!(got, model(sign, &whole, point, &fraction, P, S), "{text} as {P},{S}");
                }
            }
        }
    }
}

#[test]
fn texts_are_read_exactly() {
    parses::<3, 0>();
    parses::<3, 1>();
    parses::<3, 3>();
    parses::<1, 1>();
    parses::<38, 2>();
    for text in ["", "-", "+", ".", "-.", "--1", "+-1", "1.2.3", "1e3", "0x1", " 1", "1 ", "1,5", "١", "NaN", "inf"] {
        assert_eq!(text.parse::<Decimal<12, 2>>(), Err(DecimalError::Syntax), "{text:?}");
    }
    let nines = "9".repeat(38);
    assert_eq!(nines.parse::<Decimal<38, 0>>(), Ok(Decimal::MAX));
    assert_eq!(format!("-.{nines}000").parse::<Decimal<38, 38>>(), Ok(-Decimal::MAX));
    let digits = |digits, scale| Some(DecimalError::Digits { digits, scale });
    assert_eq!(format!("{nines}0").parse::<Decimal<38, 0>>().err(), digits(38, 0));
    assert_eq!("1".parse::<Decimal<38, 38>>().err(), digits(38, 38));
    let long = "0".repeat(100) + "1." + &"0".repeat(100);
    assert_eq!(long.parse::<Decimal<38, 37>>().map(Decimal::unscaled), Ok(10i128.pow(37)));
    let messages = ["x", "1.234"].map(|text| text.parse::<Decimal<12, 2>>().unwrap_err().to_string());
    assert_eq!(messages, ["no decimal number", "a number with more digits than decimal128(12,2) has"]);
}

fn shows<const P: u32, const S: u32>(r: &mut Random) {
    let edges = [0, 1, -1, 9, 10, -10, 10i128.pow(P) - 1, 1 - 10i128.pow(P), 10i128.pow(S) % 10i128.pow(P)];
    for unscaled in edges.into_iter().chain((0..300).map(|_| r.unscaled(P))) {
        let d = Decimal::<P, S>::from_unscaled(unscaled % 10i128.pow(P)).expect("it has P digits");
        let n = d.unscaled();
        let (sign, unit) = (if n < 0 { "-" } else { "" }, 10u128.pow(S));
        let mut want = format!("{sign}{}", n.unsigned_abs() / unit);
        if S > 0 {
            want += &format!(".{:0digits$}", n.unsigned_abs() % unit, digits = S as usize);
        }
        assert_eq!(d.to_string(), want);
        assert_eq!(want.parse::<Decimal<P, S>>(), Ok(d));
    }
}

#[test]
fn numbers_show_all_digits() {
    let mut r = Random(7);
    shows::<1, 0>(&mut r);
    shows::<1, 1>(&mut r);
    shows::<12, 2>(&mut r);
    shows::<18, 18>(&mut r);
    shows::<19, 1>(&mut r);
    shows::<38, 0>(&mut r);
    shows::<38, 17>(&mut r);
    shows::<38, 18>(&mut r);
    shows::<38, 19>(&mut r);
    shows::<38, 37>(&mut r);
    shows::<38, 38>(&mut r);
    let d: Decimal<12, 2> = "-12.3".parse().expect("a number");
    assert_eq!(format!("{d} {d:?} {d:>8} {d:<8}| {:+} {:08}", -d, d), "-12.30 -12.30   -12.30 -12.30  | +12.30 -0012.30");
}

#[test]
fn sums_and_products_are_exact_or_nothing() {
    type Tiny = Decimal<2, 1>;
    let tiny = |n| Tiny::from_unscaled(n);
    for a in -99..100 {
        for b in -99..100 {
            let (x, y) = (tiny(a).expect("two digits"), tiny(b).expect("two digits"));
            assert_eq!(x.checked_add(y), tiny(a + b));
            assert_eq!(x.checked_sub(y), tiny(a - b));
            assert_eq!(x.cmp(&y), a.cmp(&b));
            assert_eq!(x.checked_mul::<2, 1, 3, 2>(y).map(Decimal::unscaled), Some(a * b).filter(|n| n.abs() < 1000));
        }
        assert_eq!((tiny(a).map(|d| -d), tiny(a).map(Decimal::abs)), (tiny(-a), tiny(a.abs())));
    }
    assert_eq!((tiny(100), tiny(-100)), (None, None));
    type Most = Decimal<38, 0>;
    assert_eq!(Most::MAX.checked_add(Most::MAX), None); // beyond 128 bits too
    assert_eq!((-Most::MAX).checked_sub(Most::MAX), None);
    assert_eq!(Most::MAX.checked_sub(Most::MAX), Some(Most::ZERO));
    assert_eq!(Most::MAX.checked_mul::<38, 0, 38, 0>(Most::MAX), None);
    assert_eq!(Most::MAX.checked_mul::<1, 0, 38, 0>(Decimal::try_from(-1).expect("one digit")), Some(-Most::MAX));
    assert_eq!((Most::from_unscaled(i128::MAX), Most::from_unscaled(i128::MIN)), (None, None));
}

#[test]
fn other_types_are_reached_exactly_or_by_the_nearest_number() {
    /// The nearest of all numbers, found by looking at each; of two the one farther from 0.
    fn nearest(n: i128, unit: i128, end: i128) -> Option<i128> {
        // One more than the type has, which shows that it has too few digits.
        (-end..=end).min_by_key(|m| ((n - m * unit).abs(), -m.abs())).filter(|m| m.abs() < end)
    }
    for n in -9999..10_000 {
        let d = Decimal::<4, 3>::from_unscaled(n).expect("four digits");
        assert_eq!(d.round::<3, 1>().map(Decimal::unscaled), nearest(n, 100, 1000), "{d}");
        assert_eq!(d.round::<1, 0>().map(Decimal::unscaled), nearest(n, 1000, 10), "{d}");
        assert_eq!(d.rescale::<3, 1>().map(Decimal::unscaled), (n % 100 == 0).then_some(n / 100));
        assert_eq!(d.rescale::<8, 7>().map(Decimal::unscaled), Some(n * 10_000));
        assert_eq!(d.rescale::<4, 4>().map(Decimal::unscaled), Some(n * 10).filter(|n| n.abs() < 10_000));
        assert_eq!((d.trunc(), d.to_integer()), (n / 1000, (n % 1000 == 0).then_some(n / 1000)));
    }
    assert_eq!(Decimal::<38, 0>::MAX.rescale::<38, 38>(), None); // beyond 128 bits
    assert_eq!(Decimal::<38, 38>::MAX.round::<1, 0>(), Decimal::try_from(1).ok());
}

#[test]
fn whole_numbers_fit_or_do_not() {
    assert_eq!(Decimal::<5, 2>::try_from(-999).map(|d| d.to_string()), Ok("-999.00".into()));
    assert_eq!(Decimal::<5, 2>::try_from(1000u16), Err(DecimalError::Digits { digits: 5, scale: 2 }));
    assert_eq!(Decimal::<38, 19>::try_from(i64::MIN).map(Decimal::to_integer), Ok(Some(i64::MIN.into())));
    assert_eq!(Decimal::<38, 38>::try_from(i128::MAX).ok(), None); // beyond 128 bits
    assert_eq!(Decimal::<1, 1>::try_from(0i8), Ok(Decimal::ZERO));
}
