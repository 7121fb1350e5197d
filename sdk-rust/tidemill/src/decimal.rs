use std::fmt;
use std::ops::Neg;
use std::str::FromStr;

/// An exact number of at most `P` digits, `S` of which stand behind the point. It is a column of type decimal128(P,S).
///
/// `P` is 1 to 38 and `S` 0 to `P`: others do not compile. Nothing is ever rounded but by [`round`](Decimal::round), and what does not
/// fit is `None` or an error. Numbers of one type compare, hash and add as the whole numbers that they are in memory; a
/// column of fewer digits with the same scale can be read as one of more.
///
/// ```
/// use tidemill::Decimal;
///
/// type Money = Decimal<12, 2>;
/// const FEE: Money = match Decimal::parse("0.35") { Ok(fee) => fee, Err(_) => panic!() };
///
/// let price: Money = "19.90".parse()?;
/// let sum = price.checked_add(FEE).ok_or("too much")?;
/// assert_eq!(sum.to_string(), "20.25");
/// // A product is exact: it has the digits behind the point of both factors.
/// let tax: Decimal<16, 5> = sum.checked_mul("0.075".parse::<Decimal<4, 3>>()?).ok_or("too much")?;
/// assert_eq!(tax.to_string(), "1.51875");
/// assert_eq!(tax.round::<12, 2>(), Some("1.52".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Decimal<const P: u32, const S: u32>(i128);

/// Why a text or whole number is no [`Decimal`] of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// The text is no decimal number.
    Syntax,
    /// The number has more digits than the type, before or behind the point.
    Digits {
        /// The `P` of the type.
        digits: u32,
        /// The `S` of the type.
        scale: u32,
    },
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecimalError::Syntax => f.write_str("no decimal number"),
            DecimalError::Digits { digits, scale } => {
                write!(f, "a number with more digits than decimal128({digits},{scale}) has")
            }
        }
    }
}

impl std::error::Error for DecimalError {}

impl<const P: u32, const S: u32> Decimal<P, S> {
    /// The least whole number that has too many digits. Every way to make a number passes here, so that wrong types do not compile.
    const END: i128 = {
        assert!(P >= 1 && P <= 38, "a Decimal has 1 to 38 digits");
        assert!(S <= P, "a Decimal has no more digits behind the point than in all");
        10i128.pow(P)
    };
    const DIGITS: DecimalError = DecimalError::Digits { digits: P, scale: S };

    /// The number 0.
    pub const ZERO: Self = Decimal(0);
    /// The greatest number: its negative is the least.
    pub const MAX: Self = Decimal(Self::END - 1);

    /// The number that is so many units of its last digit: `Decimal::<12, 2>::from_unscaled(1990)` is 19.90. `None` where it has too many
    /// digits.
    pub const fn from_unscaled(unscaled: i128) -> Option<Self> {
        if -Self::END < unscaled && unscaled < Self::END {
            Some(Decimal(unscaled))
        } else {
            None
        }
    }

    /// The number without its point: 19.90 is 1990.
    pub const fn unscaled(self) -> i128 {
        self.0
    }

    /// The number of a text: a sign or none, digits, and where there is a point, digits behind it, or before, or both. Zeros at the end
    /// that the type has no place for do not count.
    pub const fn parse(text: &str) -> Result<Self, DecimalError> {
        let text = text.as_bytes();
        let signed = matches!(text, [b'-' | b'+', ..]);
        let (mut unscaled, mut scale, mut digits, mut point, mut fits) = (0, 0, 0, false, true);
        let mut i = signed as usize;
        while i < text.len() {
            match text[i] {
                b'.' if !point => point = true,
                b'0'..=b'9' => {
                    digits += 1;
                    if point && scale == S {
                        fits &= text[i] == b'0';
                    } else if unscaled >= Self::END / 10 {
                        fits = false;
                    } else {
                        unscaled = 10 * unscaled + (text[i] - b'0') as i128;
                        scale += point as u32;
                    }
                }
                _ => return Err(DecimalError::Syntax),
            }
            i += 1;
        }
        if digits == 0 {
            return Err(DecimalError::Syntax);
        }
        while fits && scale < S {
            fits = unscaled < Self::END / 10;
            if fits {
                unscaled *= 10;
            }
            scale += 1;
        }
        if !fits {
            return Err(Self::DIGITS);
        }
        Ok(Decimal(if text[0] == b'-' { -unscaled } else { unscaled }))
    }

    /// The sum, `None` where it has too many digits.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Self::from_unscaled(sum),
            None => None,
        }
    }

    /// The difference, `None` where it has too many digits.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        self.checked_add(Decimal(-other.0))
    }

    /// The product, exactly: it has the digits behind the point of both factors, which another `S3` does not compile with. `None` where
    /// it has more than `P3` digits.
    pub const fn checked_mul<const P2: u32, const S2: u32, const P3: u32, const S3: u32>(
        self,
        by: Decimal<P2, S2>,
    ) -> Option<Decimal<P3, S3>> {
        const { assert!(S3 == S + S2, "a product has the digits behind the point of both factors") };
        match self.0.checked_mul(by.0) {
            Some(product) => Decimal::from_unscaled(product),
            None => None,
        }
    }

    /// The same number in another type, `None` where it has digits that the type has not.
    pub const fn rescale<const P2: u32, const S2: u32>(self) -> Option<Decimal<P2, S2>> {
        match self.round::<P2, S2>() {
            Some(made) if S <= S2 || self.0 % 10i128.pow(S - S2) == 0 => Some(made),
            _ => None,
        }
    }

    /// The nearest number of another type, of two the one farther from 0: 0.125 becomes 0.13, and -0.125 becomes -0.13. `None` where it
    /// has too many digits before the point.
    pub const fn round<const P2: u32, const S2: u32>(self) -> Option<Decimal<P2, S2>> {
        if S <= S2 {
            return match self.0.checked_mul(10i128.pow(S2 - S)) {
                Some(unscaled) => Decimal::from_unscaled(unscaled),
                None => None,
            };
        }
        let unit = 10i128.pow(S - S2);
        let (whole, rest) = (self.0 / unit, self.0 % unit);
        let away = if rest.abs() >= unit - rest.abs() { rest.signum() } else { 0 };
        Decimal::from_unscaled(whole + away)
    }

    /// The digits before the point, with the sign.
    pub const fn trunc(self) -> i128 {
        self.0 / 10i128.pow(S)
    }

    /// The number where it is whole.
    pub const fn to_integer(self) -> Option<i128> {
        if self.0 % 10i128.pow(S) == 0 {
            Some(self.trunc())
        } else {
            None
        }
    }

    /// The number without its sign.
    pub const fn abs(self) -> Self {
        Decimal(self.0.abs())
    }
}

impl<const P: u32, const S: u32> Neg for Decimal<P, S> {
    type Output = Self;
    fn neg(self) -> Self {
        Decimal(-self.0)
    }
}

impl<const P: u32, const S: u32> FromStr for Decimal<P, S> {
    type Err = DecimalError;
    fn from_str(text: &str) -> Result<Self, DecimalError> {
        Self::parse(text)
    }
}

macro_rules! from_integers {
    ($($t:ty)*) => {$(
        impl<const P: u32, const S: u32> TryFrom<$t> for Decimal<P, S> {
            type Error = DecimalError;
            fn try_from(whole: $t) -> Result<Self, DecimalError> {
                let unscaled = (whole as i128).checked_mul(10i128.pow(S));
                unscaled.and_then(Self::from_unscaled).ok_or(Self::DIGITS)
            }
        }
    )*};
}

from_integers!(i8 i16 i32 i64 i128 u8 u16 u32 u64 usize);

/// Digits are taken off in groups that one machine word holds: dividing 128 bits is slow.
const GROUP: (u128, u32) = (10u128.pow(18), 18);

/// The number with exactly `S` digits behind the point: `-12.30`. Width, fill and sign are those of a whole number.
impl<const P: u32, const S: u32> fmt::Display for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; 40]; // 0, the point and 38 digits
        let (mut at, mut digits, mut rest) = (text.len(), 0, self.0.unsigned_abs());
        while digits <= S || rest > 0 {
            let mut group = (rest % GROUP.0) as u64;
            rest /= GROUP.0;
            for _ in 0..GROUP.1 {
                if digits > S && group == 0 && rest == 0 {
                    break;
                }
                if digits == S && S > 0 {
                    at -= 1;
                    text[at] = b'.';
                }
                at -= 1;
                text[at] = b'0' + (group % 10) as u8;
                group /= 10;
                digits += 1;
            }
        }
        f.pad_integral(self.0 >= 0, "", std::str::from_utf8(&text[at..]).unwrap_or_default())
    }
}

impl<const P: u32, const S: u32> fmt::Debug for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
