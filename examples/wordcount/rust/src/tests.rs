use crate::{split, Count, Line, Word};
use tidemill::testing::{Config, Harness};
use tidemill::Row;

#[derive(Row)]
struct Counted {
    word: String,
    count: i64,
}

fn read(name: &str) -> String {
    let path = format!("{}/../testdata/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// Counts the words of the book, line by line through both operators, and compares the counts with the script's.
#[test]
fn the_book() {
    let mut splits = Harness::new::<split>(Config::new());
    let mut counts = Harness::new::<Count>(Config::new().key(["word"]).input::<Word<'_>>("in"));
    let text = read("opticks.txt");
    let lines: Vec<&str> = text.lines().collect();
    for batch in lines.chunks(100) {
        splits.send("in", batch.iter().map(|text| Line { text }));
        counts.send("in", splits.rows::<Word<'_>>("out"));
    }
    assert_eq!(counts.rows::<Counted>("counts").len(), 0, "words that are counted before the end");
    counts.end();
    let rows = counts.rows::<Counted>("counts").into_iter();
    let mut got: Vec<String> = rows.map(|c| format!("{{\"word\":{:?},\"count\":{}}}", c.word, c.count)).collect();
    let text = read("expected.jsonl");
    let mut want: Vec<&str> = text.lines().collect();
    got.sort();
    want.sort();
    assert_eq!(got, want);
}
