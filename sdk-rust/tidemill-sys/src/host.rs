//! The functions that the host gives to a module, with the signatures of the contract. Addresses are those of the module's memory.

#[link(wasm_import_module = "tidemill_v1")]
extern "C" {
    /// A line for the operator's log: level 0 trace, 1 debug, 2 info, 3 warn, 4 error.
    pub fn log(level: u32, text: *const u8, len: usize);
    /// Reads a cell into `out`, where it fits, and answers its length; -1 where it is absent.
    pub fn state_get(state: u32, key: u32, map_key: *const u8, len: usize, out: *mut u8, cap: usize) -> i32;
    /// Begins a scan of a map and answers its handle.
    pub fn state_scan_open(state: u32, key: u32, bounds: *const u8, len: usize, flags: u32) -> i32;
    /// Writes a rows block of the next entries and answers its length, or the negative of the length that one entry needs. A block of no
    /// rows, or `cap` 0, ends the scan.
    pub fn state_scan_next(handle: i32, out: *mut u8, cap: usize) -> i32;
    /// Takes an answer frame of STATE sections; later reads of the frame see it.
    pub fn state_apply(frame: *const u8, len: usize);
    /// Units of fuel left of this call.
    pub fn fuel_left() -> i64;
}
