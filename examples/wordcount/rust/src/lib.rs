//! Two operators: split makes words of lines, count, keyed by word, says at the end of the input how often each was there.

use tidemill::prelude::*;

#[derive(Row)]
struct Line<'a> {
    text: &'a str,
}

#[derive(Row)]
struct Word<'a> {
    word: &'a str,
}

/// Emits the words of a line: runs of letters, in lower case. Letters are those of ASCII and every byte beyond it, so that a word with an
/// accent stays whole.
#[operator]
fn split(line: Line<'_>, out: &Out<Word<'_>>) {
    let lower = line.text.to_ascii_lowercase();
    for word in lower.split(|c: char| c.is_ascii() && !c.is_ascii_alphabetic()).filter(|word| !word.is_empty()) {
        out.emit(Word { word });
    }
}

/// Count reads no column of its input: the word is the key.
#[derive(Row)]
struct Occurrence {}

#[derive(Row)]
struct Total {
    #[tm(all)]
    key: FromKey,
    count: i64,
}

#[derive(Operator)]
struct Count {
    #[tm(name = "in")]
    words: In<Occurrence>,
    counts: Out<Total>,
    count: Value<i64>,
    done: Timer, // the end of the input
}

/// Counts the occurrences of each word.
#[operator]
impl Count {
    #[on_row(words)]
    fn on_word(&mut self) {
        let count = self.count.edit();
        if *count == 0 {
            self.done.set(Timestamp::END); // event time is at the end of the input
        }
        *count += 1;
    }

    #[on_fire(done)]
    fn on_done(&mut self) {
        self.counts.emit(Total { key: FromKey, count: self.count.get().unwrap_or(0) });
    }
}

tidemill::operators!(split, Count);

#[cfg(test)]
mod tests;
