//! Reads the golden frames of the contract, which pin the bytes that the host writes. What must come out stands here as the contract's own
//! test has it (`abi/frame/golden_test.go`).

use super::{Datum, Values};
use crate::batch::ColumnCell;
use crate::buffer::Buffer;
use crate::cell::Cell;
use crate::frame::{ColumnView, Frame, Section, Unreadable};
use crate::{Date, Decimal, Lists, Texts, Timestamp};
use tidemill_sys::abi;

/// The bytes of a golden file: in each line what stands between the offset and the bar.
fn golden(name: &str) -> Buffer {
    let path = format!("{}/../../abi/testdata/{name}.hex", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let mut bytes = Buffer::new();
    for line in text.lines() {
        let (_, rest) = line.split_once("  ").expect("an offset");
        let digits = rest.split_once('|').map_or(rest, |(digits, _)| digits);
        for byte in digits.split_whitespace() {
            bytes.push(&[u8::from_str_radix(byte, 16).expect("two digits")]);
        }
    }
    bytes
}

fn columns(s: &Section<'_>, head: u32, nodes: usize) -> Vec<ColumnView> {
    let mut list = Vec::new();
    s.columns(&mut list, head, s.u32(nodes) as usize);
    list
}

/// The values of a column, which has that type in the golden frame.
fn values<T: Cell>(column: &ColumnView, rows: usize) -> Values {
    // SAFETY: see above.
    (0..rows).map(|i| T::datum(&unsafe { T::read(column, i) })).collect()
}

fn data<T: Into<Datum>>(list: impl IntoIterator<Item = Option<T>>) -> Values {
    list.into_iter().map(|v| v.map_or(Datum::Null, Into::into)).collect()
}

#[test]
fn every_type() {
    let bytes = golden("input-batch-every-type");
    let frame = Frame::read(&bytes).expect("a frame");
    assert_eq!((frame.kind, frame.sequence, frame.slot, frame.port), (abi::KIND_BATCH, 1, 0, 1));
    assert_eq!((frame.watermark, frame.processing_time), (1357034400000000, 1700000000000000));
    assert_eq!((frame.seed, frame.items()), (0x0123456789abcdef, 3));
    let batch = frame.batch().expect("rows");
    let c = columns(&batch, abi::BATCH_SIZE, 8);
    assert_eq!(c.len(), 12);
    assert_eq!(values::<Option<bool>>(&c[0], 3), data([Some(true), None, Some(true)]));
    assert_eq!(values::<i8>(&c[1], 3), data([-1i8, 2, 3].map(Some)));
    assert_eq!(values::<Option<i16>>(&c[2], 3), data([Some(-1i16), None, Some(3)]));
    assert_eq!(values::<i32>(&c[3], 3), data([-1i32, 2, 3].map(Some)));
    assert_eq!(values::<i64>(&c[4], 3), data([-1i64, 2, 3].map(Some)));
    assert_eq!(values::<f32>(&c[5], 3), data([1.5f32, -2.0, 0.0].map(Some)));
    assert_eq!(values::<Option<f64>>(&c[6], 3), data([Some(1.5), None, Some(0.0)]));
    assert_eq!(values::<Date>(&c[7], 3), data([15706i32, 0, -1].map(Some)));
    assert_eq!(values::<Timestamp>(&c[8], 3), data([0i64, 1, 2].map(Some)));
    assert_eq!(values::<Timestamp>(&c[9], 3), data([0i64, 1, 2].map(Some)));
    assert_eq!(values::<Option<&str>>(&c[10], 3), data([Some("über"), Some(""), None]));
    assert_eq!(values::<&[u8]>(&c[11], 3), data(["\x00\u{ff}", "", "a"].map(|s| Some(latin(s)))));
}

/// The bytes of characters below U+0100.
fn latin(text: &str) -> Datum {
    Datum::Bytes(text.chars().map(|c| c as u8).collect())
}

fn decimal(unscaled: i128, scale: u32) -> Datum {
    Datum::Decimal { unscaled, scale }
}

#[test]
fn decimals_and_lists() {
    for (name, from) in [("input-batch-lists", 0), ("input-batch-lists-cut", 1)] {
        let bytes = golden(name);
        let frame = Frame::read(&bytes).expect("a frame");
        let (batch, n) = (frame.batch().expect("rows"), 3 - from);
        let c = columns(&batch, abi::BATCH_SIZE, 8);
        assert_eq!((frame.items(), batch.u32(4), batch.u32(8), c.len()), (n, 7, 11, 7));
        let rows = |all: [Datum; 3]| all[from..].to_vec();
        let most = 10i128.pow(38) - 1;
        assert_eq!(values::<Option<Decimal<5, 2>>>(&c[0], n), rows([decimal(-1230, 2), Datum::Null, decimal(99_999, 2)]));
        assert_eq!(values::<Decimal<38, 0>>(&c[1], n), rows([decimal(0, 0), decimal(-1, 0), decimal(most, 0)]));
        let texts = rows([vec!["über", ""].into(), Datum::List(Vec::new()), Datum::Null]);
        assert_eq!(values::<Option<Vec<&str>>>(&c[2], n), texts);
        assert_eq!(values::<Option<Vec<String>>>(&c[2], n), texts);
        assert_eq!(values::<Vec<bool>>(&c[3], n), rows([vec![true].into(), vec![false, true].into(), Datum::List(Vec::new())]));
        let amounts = [vec![decimal(1, 4)], vec![decimal(-2, 4), decimal(3, 4)], vec![]].map(Datum::List);
        assert_eq!(values::<Vec<Decimal<20, 4>>>(&c[4], n), rows(amounts.clone()));
        assert_eq!(values::<&[Decimal<20, 4>]>(&c[4], n), rows(amounts));
        assert_eq!(values::<&[f64]>(&c[5], n), vec![Datum::List(Vec::new()); n]);
        assert_eq!(values::<i8>(&c[6], n), rows([1, 2, 3].map(Datum::Int)));
        // As columns.
        // SAFETY: the columns are of these types and have so many rows.
        let (texts, reals) = unsafe { (Lists::<Texts<'_>>::view(&c[2], n), Lists::<&[f64]>::view(&c[5], n)) };
        let words: Vec<&str> = texts.range(0).map(|i| texts.elements.get(i)).collect();
        assert_eq!((words, texts.len()), (if from == 0 { vec!["über", ""] } else { vec![] }, n));
        assert_eq!((reals.get(n - 1), reals.len()), ([].as_slice(), n));
    }
    let bytes = golden("block-lists");
    let c = columns(&Section::block(&bytes), abi::BLOCK_SIZE, 8);
    assert_eq!(
        (values::<&[i16]>(&c[0], 1), values::<Decimal<5, 2>>(&c[1], 1)),
        (vec![vec![1i16, -2].into()], vec![decimal(-1230, 2)])
    );
    let bytes = golden("block-no-list");
    let c = columns(&Section::block(&bytes), abi::BLOCK_SIZE, 8);
    // SAFETY: as above.
    let none = unsafe { Lists::<Texts<'_>>::view(&c[0], 0) };
    assert!(c.len() == 1 && none.is_empty() && none.elements.is_empty());
}

#[test]
fn a_keyed_batch() {
    let bytes = golden("input-batch-keyed");
    let frame = Frame::read(&bytes).expect("a frame");
    let batch = frame.batch().expect("rows");
    assert_eq!(values::<i64>(&columns(&batch, abi::BATCH_SIZE, 8)[0], 3), data([7i64, 8, 9].map(Some)));
    assert_eq!(batch.array::<i64>(20, 3), [10, 20, 30]);
    let keys = frame.keys().expect("keys");
    assert_eq!((keys.u32(4), keys.array::<u32>(16, 3)), (2, [0, 1, 0].as_slice()));
    assert_eq!(values::<Option<&str>>(&columns(&keys, abi::KEYS_SIZE, 12)[0], 2), data([Some("AA"), None]));
    let value = frame.state(0).expect("a value");
    assert_eq!(value.array::<u8>(16, 2), [1, 0]);
    assert_eq!(values::<i64>(&columns(&value, abi::STATE_SIZE, 12)[0], 1), data([Some(5i64)]));
    assert!(frame.state(1).is_none());
    let list = frame.state(2).expect("a list");
    assert_eq!((list.array::<u8>(16, 2), list.array::<u32>(20, 3), list.u32(24)), ([1, 2].as_slice(), [0, 2, 2].as_slice(), 2));
    assert_eq!(values::<&str>(&columns(&list, abi::STATE_SIZE, 12)[0], 2), data(["a", "bc"].map(Some)));
    let map = frame.state(3).expect("a map");
    let c = columns(&map, abi::STATE_SIZE, 12);
    assert_eq!((values::<&str>(&c[0], 1), values::<i64>(&c[1], 1)), (data([Some("LAX")]), data([Some(12i64)])));
}

#[test]
fn timers_and_callbacks() {
    let bytes = golden("input-timers");
    let frame = Frame::read(&bytes).expect("a frame");
    let timers = frame.timers().expect("timers");
    assert_eq!((frame.kind, frame.port, frame.items()), (abi::KIND_TIMERS, abi::NO_PORT, 2));
    assert_eq!((timers.array::<u32>(8, 2), timers.array::<u16>(12, 2)), ([0, 1].as_slice(), [1, 0].as_slice()));
    assert_eq!(
        (timers.array::<i64>(24, 2), timers.array::<u32>(28, 3)),
        ([1357034400000000, 1].as_slice(), [0, 3, 3].as_slice())
    );
    assert_eq!(timers.array::<u8>(32, timers.u32(36) as usize), b"tag");
    for (name, kind, watermark) in
        [("input-watermark", abi::KIND_WATERMARK, 1357034400000000), ("input-end", abi::KIND_END, abi::WATERMARK_END)]
    {
        let bytes = golden(name);
        let frame = Frame::read(&bytes).expect("a frame");
        assert_eq!((frame.kind, frame.watermark, frame.items()), (kind, watermark, 0));
        assert!(frame.batch().is_none() && frame.keys().is_none() && frame.timers().is_none());
    }
}

#[test]
fn rows_without_columns_and_a_block() {
    let bytes = golden("input-batch-no-columns");
    let frame = Frame::read(&bytes).expect("a frame");
    let batch = frame.batch().expect("rows");
    assert_eq!((frame.items(), columns(&batch, abi::BATCH_SIZE, 8).len()), (4096, 0));
    let bytes = golden("block-entries");
    let block = Section::block(&bytes);
    let c = columns(&block, abi::BLOCK_SIZE, 8);
    assert_eq!((block.u32(0), block.u32(12) as usize), (2, bytes.len()));
    assert_eq!(values::<&str>(&c[0], 2), data(["ATL", "LAX"].map(Some)));
    assert_eq!(values::<Option<i64>>(&c[1], 2), data([Some(4i64), None]));
    assert_eq!(Section::block(&golden("block-end")).u32(0), 0);
}

#[test]
fn what_is_no_frame_is_refused() {
    let bytes = golden("input-watermark");
    let change = |at: usize, to: u8| {
        let mut changed = bytes.to_vec();
        changed[at] = to;
        Frame::read(&changed).err()
    };
    assert_eq!(change(0, b'X'), Some(Unreadable::Foreign));
    assert_eq!(change(4, 2), Some(Unreadable::Foreign));
    assert_eq!(change(8, 255), Some(Unreadable::Foreign)); // longer than the memory it is in
    assert_eq!(Frame::read(&bytes[..39]).err(), Some(Unreadable::Foreign));
    let entry = abi::HEADER_SIZE as usize;
    assert_eq!(change(entry, 99), None); // a section that is not known
    let mut marked = bytes.to_vec();
    (marked[entry], marked[entry + 4]) = (99, 1); // and must be understood
    assert_eq!(Frame::read(&marked).err(), Some(Unreadable::Section));
}
