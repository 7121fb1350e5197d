//! The text of a `ttl`.

/// Units in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// The most milliseconds that the contract allows.
const MAX: u64 = 1 << 53;

/// The milliseconds of a text like "24h" or "1h30m", or what is wrong with it.
pub fn milliseconds(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no ttl: that is whole numbers with the units d, h, m, s and ms, as \"24h\" or \"1h30m\"");
    let (mut rest, mut sum) = (text, 0u64);
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
        let (unit, behind) = behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        let unit = UNITS.iter().find(|(name, _)| !digits.is_empty() && *name == unit).ok_or_else(wrong)?.1;
        // What has too many digits for 64 bits is over the maximum too.
        sum = digits.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit).saturating_add(sum);
        rest = behind;
    }
    match sum {
        0 if text.is_empty() => Err(wrong()),
        0 => Err("a ttl is above 0".into()),
        1..=MAX => Ok(sum),
        _ => Err(format!("a ttl is {MAX} ms at most")),
    }
}

#[cfg(test)]
mod tests {
    use super::milliseconds;

    #[test]
    fn texts() {
        for (text, ms) in [
            ("1ms", 1),
            ("500ms", 500),
            ("30s", 30_000),
            ("90m", 5_400_000),
            ("24h", 86_400_000),
            ("7d", 604_800_000),
            ("1h30m", 5_400_000),
            ("0d0h1m2s3ms", 62_003),
            ("9007199254740992ms", 1 << 53),
        ] {
            assert_eq!(milliseconds(text), Ok(ms), "{text}");
        }
        for text in ["", "24", "h", "24 h", "1.5h", "-1h", "24H", "1w", "1us", "h24", "24h1"] {
            assert!(milliseconds(text).is_err_and(|why| why.contains("is no ttl")), "{text}");
        }
        assert_eq!(milliseconds("0s"), Err("a ttl is above 0".into()));
        for text in ["9007199254740993ms", "104249991375d", "99999999999999999999ms", "18446744073709551615d"] {
            assert_eq!(milliseconds(text), Err("a ttl is 9007199254740992 ms at most".into()), "{text}");
        }
    }
}
