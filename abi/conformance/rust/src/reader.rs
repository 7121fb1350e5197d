//! Takes programs apart, as PROGRAM.md says.

use crate::{Amount, PairKey, Record};
use tidemill::{Date, Timestamp};

const NUMBERS: [i64; 16] = [
    i64::MIN,
    i64::MAX,
    -(1 << 53) - 1,
    (1 << 53) + 1,
    -(1 << 32),
    (1 << 32) - 1,
    i32::MIN as i64,
    i32::MAX as i64,
    i32::MIN as i64 - 1,
    1 << 31,
    i16::MIN as i64,
    i16::MAX as i64,
    1 << 15,
    i8::MIN as i64,
    i8::MAX as i64,
    128,
];

const GREATEST: f64 = f32::MAX as f64;
const POWER_100: f64 = (1u128 << 100) as f64;
const REALS: [f64; 16] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -0.0,
    f32::from_bits(1) as f64,
    -(f32::from_bits(1) as f64),
    f32::MIN_POSITIVE as f64,
    GREATEST,
    -GREATEST,
    16_777_216.0,
    0.5,
    -1.5,
    1024.25,
    POWER_100,
    -POWER_100,
    1.0 / POWER_100,
];

const TIMES: [i64; 16] = [
    i64::MIN,
    i64::MIN + 1,
    i64::MAX - 1,
    i64::MAX,
    -1,
    -2,
    -1_000_000,
    240,
    256,
    300,
    500,
    1000,
    1_000_000,
    1 << 31,
    (1 << 53) + 1,
    253_402_300_800_000_000,
];

/// Amounts without their points.
const DECIMALS: [i128; 16] = [
    10i128.pow(20) - 1,
    -10i128.pow(20) + 1,
    i64::MAX as i128,
    1 << 63,
    -(1 << 63),
    -(1 << 63) - 1,
    u64::MAX as i128,
    1 << 64,
    -(1 << 64),
    -(1 << 64) - 1,
    10i128.pow(19),
    -10i128.pow(19),
    10_000,
    -10_000,
    1 << 32,
    -(1 << 32),
];

const SYMBOLS: [&str; 16] = ["a", "b", "c", "z", "A", "0", " ", "\0", "é", "ß", "中", "😀", "\n", "\"", "\x7f", "\u{e000}"];

/// Past a program's end every byte is zero.
pub struct Reader<'p> {
    rest: &'p [u8],
}

impl<'p> Reader<'p> {
    pub fn new(program: &'p [u8]) -> Reader<'p> {
        Reader { rest: program }
    }

    pub fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((b, rest)) => {
                self.rest = rest;
                *b
            }
            None => 0,
        }
    }

    pub fn index(&mut self, n: u8) -> usize {
        (self.byte() % n) as usize
    }

    pub fn number(&mut self) -> i64 {
        match self.byte() {
            b @ 240.. => NUMBERS[b as usize - 240],
            b => b as i64 - 120,
        }
    }

    pub fn real(&mut self) -> f64 {
        match self.byte() {
            b @ 240.. => REALS[b as usize - 240],
            b => (b as f64 - 120.0) / 3.0,
        }
    }

    pub fn time(&mut self) -> Timestamp {
        match self.byte() {
            b @ 240.. => Timestamp(TIMES[b as usize - 240]),
            b => Timestamp(b as i64),
        }
    }

    fn amount(&mut self) -> Amount {
        let unscaled = match self.byte() {
            b @ 240.. => DECIMALS[b as usize - 240],
            b => b as i128 - 120,
        };
        Amount::from_unscaled(unscaled).unwrap_or_default()
    }

    /// The byte before a text, octets or a list: how many there are, less than `most`, and how often all of them.
    fn counted(&mut self, most: u8) -> (u8, usize) {
        let c = self.byte();
        (c % most, if c >= 248 { 64 } else { 1 })
    }

    fn symbols(&mut self, n: u8) -> String {
        (0..n).map(|_| SYMBOLS[self.index(16)]).collect()
    }

    pub fn text(&mut self) -> String {
        let (n, times) = self.counted(8);
        self.symbols(n).repeat(times)
    }

    fn octets(&mut self) -> Vec<u8> {
        let (n, times) = self.counted(8);
        (0..n).map(|_| self.byte()).collect::<Vec<u8>>().repeat(times)
    }

    fn numbers(&mut self) -> Vec<i64> {
        let (n, times) = self.counted(4);
        (0..n).map(|_| self.number()).collect::<Vec<i64>>().repeat(times)
    }

    fn words(&mut self) -> Vec<String> {
        let (n, times) = self.counted(4);
        let words: Vec<String> = (0..n).map(|_| self.word()).collect();
        words.iter().cycle().take(words.len() * times).cloned().collect()
    }

    pub fn word(&mut self) -> String {
        let n = self.byte() % 4;
        self.symbols(n)
    }

    pub fn program(&mut self) -> &'p [u8] {
        let n = self.byte() as usize;
        let (program, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        program
    }

    pub fn record(&mut self) -> Record {
        let mask = u16::from_le_bytes([self.byte(), self.byte()]);
        let has = |field: u32| mask >> field & 1 != 0;
        Record {
            flag: has(0) && self.byte() & 1 != 0,
            tiny: has(1).then(|| self.number() as i8),
            small: if has(2) { self.number() as i16 } else { 0 },
            medium: has(3).then(|| self.number() as i32),
            large: if has(4) { self.number() } else { 0 },
            single: has(5).then(|| self.real() as f32),
            double: if has(6) { self.real() } else { 0.0 },
            day: has(7).then(|| Date(self.number() as i32)),
            at: Timestamp(if has(8) { self.number() } else { 0 }),
            zoned: has(9).then(|| Timestamp(self.number())),
            text: has(10).then(|| self.text()),
            bytes: if has(11) { self.octets() } else { Vec::new() },
            amount: has(12).then(|| self.amount()),
            numbers: if has(13) { self.numbers() } else { Vec::new() },
            names: has(14).then(|| self.words()),
        }
    }

    pub fn pair(&mut self) -> PairKey {
        let (small, amount) = (self.number() as i16, self.amount());
        let b = self.byte() as i64;
        let (day, at) = (Date((b as i32 >> 1 & 7) - 4), Timestamp((b >> 4) - 8));
        PairKey { small, amount, flag: b & 1 != 0, day, at, text: self.word() }
    }
}
