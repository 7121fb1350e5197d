//! Catches the panics of an operator with their place, and keeps them off the test's output.

use super::decode::Broken;
use std::cell::{Cell, RefCell};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

pub struct Panic {
    pub message: String,
    pub place: String,
}

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static CAUGHT: RefCell<Option<Panic>> = const { RefCell::new(None) };
}

/// Calls f, and catches its panic, but for one that says that the SDK is wrong. Another thread's panics go their usual way.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !CATCHING.get() {
                return before(info);
            }
            let message = crate::operator::panic_message(info.payload()).to_string();
            let place = info.location().map_or(String::new(), |l| format!("{}:{}", l.file(), l.line()));
            CAUGHT.set(Some(Panic { message, place }));
        }));
    });
    CATCHING.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    CATCHING.set(false);
    result.map_err(|payload| match payload.downcast::<Broken>() {
        Ok(broken) => panic!("the SDK's answer breaks the contract: {}", broken.0),
        Err(_) => CAUGHT.take().unwrap_or(Panic { message: String::new(), place: String::new() }),
    })
}
