//! The exports of a module. The macro `operators` makes the functions themselves in the user's crate, so that a module exports what
//! its own operators need and nothing registers itself.

use crate::buffer::Buffer;
use crate::host::{Core, Host};
use crate::operator::{self, cut, panic_message, Entry, Runs};
use crate::part::OpenProblem;
use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use std::sync::Once;
use tidemill_sys::json::{self, Decode, Encode};
use tidemill_sys::{abi, host as imports};

/// What a module holds: the slots that the host opened, and memory that the host reads or writes.
#[derive(Default)]
struct Module {
    slots: Vec<Option<Box<dyn Runs>>>,
    reserved: Buffer,
    text: String,
}

thread_local! {
    // A module has one thread.
    static MODULE: RefCell<Module> = RefCell::default();
    static RUNNING: RefCell<Option<Rc<Core>>> = const { RefCell::new(None) };
}

/// The functions of the contract.
struct Imports;

impl Host for Imports {
    fn log(&self, level: u32, line: &str) {
        // SAFETY: the host reads the text.
        unsafe { imports::log(level, line.as_ptr(), line.len()) }
    }
    fn state_get(&self, state: u32, key: u32, map_key: &[u8], out: &mut [u8]) -> i32 {
        // SAFETY: the host reads the key and writes into out.
        unsafe { imports::state_get(state, key, map_key.as_ptr(), map_key.len(), out.as_mut_ptr(), out.len()) }
    }
    fn scan_open(&self, state: u32, key: u32, bounds: &[u8], flags: u32) -> i32 {
        // SAFETY: the host reads the bounds.
        unsafe { imports::state_scan_open(state, key, bounds.as_ptr(), bounds.len(), flags) }
    }
    fn scan_next(&self, handle: i32, out: &mut [u8]) -> i32 {
        // SAFETY: the host writes into out.
        unsafe { imports::state_scan_next(handle, out.as_mut_ptr(), out.len()) }
    }
    fn apply(&self, frame: &[u8]) {
        // SAFETY: the host reads the frame.
        unsafe { imports::state_apply(frame.as_ptr(), frame.len()) }
    }
}

fn packed(bytes: &[u8]) -> u64 {
    if bytes.is_empty() {
        return 0;
    }
    (bytes.as_ptr() as usize as u64) << 32 | bytes.len() as u64
}

fn answer(value: &impl Encode) -> u64 {
    MODULE.with_borrow_mut(|m| {
        m.text.clear();
        value.encode(&mut m.text);
        packed(m.text.as_bytes())
    })
}

/// `tidemill_describe`.
pub fn describe(entries: &[Entry]) -> u64 {
    install_hook();
    match operator::description(entries) {
        Ok(d) => answer(&d),
        Err(problem) => panic!("{}", problem.message),
    }
}

/// `tidemill_open`.
///
/// # Safety
/// The host must have written the request.
pub unsafe fn open(entries: &[Entry], request: *const u8, len: usize) -> u64 {
    install_hook();
    // SAFETY: see above.
    let text = unsafe { std::slice::from_raw_parts(request, len) };
    let opened = match json::parse(text).map(|v| abi::OpenRequest::decode(&v)) {
        Ok(Some(request)) => open_slot(entries, request),
        Ok(None) => Err(OpenProblem::new("the open request has a member of another type")),
        Err(e) => Err(OpenProblem::new(e.to_string())),
    };
    answer(&match opened {
        Ok(d) => abi::OpenAnswer { descriptor: Some(d), error: None },
        Err(p) => {
            let error =
                abi::OpenError { message: p.message, param: p.param.unwrap_or_default(), column: p.column.unwrap_or_default() };
            abi::OpenAnswer { descriptor: None, error: Some(error) }
        }
    })
}

/// A wrong slot number does not take all memory.
const SLOTS_MAX: usize = 1024;

fn open_slot(entries: &[Entry], request: abi::OpenRequest) -> Result<abi::Descriptor, OpenProblem> {
    let at = usize::try_from(request.slot).unwrap_or(SLOTS_MAX);
    if at >= SLOTS_MAX {
        return Err(OpenProblem::new(format!("there is no slot {}", request.slot)));
    }
    let (slot, descriptor) = operator::open(entries, request, Rc::new(Imports))?;
    MODULE.with_borrow_mut(|m| {
        if at >= m.slots.len() {
            m.slots.resize_with(at + 1, || None);
        }
        m.slots[at] = Some(slot);
    });
    Ok(descriptor)
}

/// `tidemill_reserve`.
pub fn reserve(len: usize) -> *mut u8 {
    MODULE.with_borrow_mut(|m| {
        m.reserved = Buffer::new(); // the one before is freed first: both at once may not fit
        match Buffer::with_capacity(len) {
            Some(buffer) => {
                m.reserved = buffer;
                m.reserved.as_mut_ptr()
            }
            None => std::ptr::null_mut(),
        }
    })
}

/// `tidemill_process`.
///
/// # Safety
/// The host must have written the frame.
pub unsafe fn process(frame: *const u8, len: usize) -> u64 {
    // SAFETY: see above.
    let data = unsafe { std::slice::from_raw_parts(frame, len) };
    let at = data.get(24..28).map_or(u32::MAX, |b| u32::from_le_bytes(b.try_into().unwrap_or_default()));
    MODULE.with_borrow_mut(|m| {
        let Some(Some(slot)) = m.slots.get_mut(at as usize) else { panic!("a frame of a slot that was not opened") };
        RUNNING.set(Some(slot.core().clone()));
        packed(slot.process(data))
    })
}

/// Fills the fault cell when something panics: in a module that ends the instance.
fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(fault)));
}

fn fault(info: &PanicHookInfo<'_>) {
    let max = abi::ERROR_MESSAGE_BYTES as usize;
    let message: &'static str = String::leak(cut(panic_message(info.payload()), max).to_string());
    let place: &'static str = String::leak(info.location().map_or(String::new(), |l| format!("{}:{}", l.file(), l.line())));
    RUNNING.with_borrow(|running| match running {
        Some(core) => core.set_fault(message, place),
        None => Imports.log(crate::Level::Error as u32, &format!("{message} ({place})")),
    });
}
