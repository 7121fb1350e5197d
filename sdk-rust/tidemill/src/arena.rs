use crate::buffer::{Buffer, ALIGN};
use std::cell::{Cell, RefCell};

/// Memory for texts that must live until the end of a frame.
#[derive(Default)]
pub struct Arena {
    chunks: RefCell<Vec<Buffer>>,
    used: Cell<usize>, // chunks in use, the last of which has room
    free: Cell<usize>, // bytes in use of the last chunk
}

const CHUNK: usize = 64 << 10;

impl Arena {
    /// Forgets all that was kept.
    pub(crate) fn reset(&self) {
        self.used.set(0);
        self.free.set(0);
    }

    /// A copy of bytes.
    ///
    /// # Safety
    /// It lives until the next reset only, which no reference to it may outlive.
    pub(crate) unsafe fn keep(&self, bytes: &[u8]) -> &'static [u8] {
        let to = self.room(bytes.len());
        // SAFETY: the room is this call's own.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            std::slice::from_raw_parts(to, bytes.len())
        }
    }

    /// A copy of a rows block at a multiple of 16, where its arrays are aligned.
    ///
    /// # Safety
    /// As for `keep`.
    pub(crate) unsafe fn keep_aligned(&self, bytes: &[u8]) -> &'static [u8] {
        let to = self.room(bytes.len() + ALIGN);
        // SAFETY: the room has ALIGN bytes more than are used.
        unsafe {
            let to = to.add(to.align_offset(ALIGN));
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
            std::slice::from_raw_parts(to, bytes.len())
        }
    }

    fn room(&self, n: usize) -> *mut u8 {
        let mut chunks = self.chunks.borrow_mut();
        loop {
            let used = self.used.get();
            let at = self.free.get();
            if used > 0 && at + n <= chunks[used - 1].capacity() {
                self.free.set(at + n);
                // SAFETY: the chunk has room for n bytes from there on.
                return unsafe { chunks[used - 1].as_mut_ptr().add(at) };
            }
            if used == chunks.len() {
                let mut chunk = Buffer::new();
                chunk.reserve(n.max(CHUNK));
                chunks.push(chunk);
            }
            self.used.set(used + 1);
            self.free.set(0);
        }
    }
}
