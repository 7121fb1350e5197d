use std::alloc::{self, Layout};
use std::ptr::{self, NonNull};

/// Bytes at a multiple of 16, where the contract wants frames and buffers to be. It grows and keeps its memory.
pub(crate) struct Buffer {
    at: NonNull<u8>,
    len: usize,
    capacity: usize,
}

pub(crate) const ALIGN: usize = tidemill_sys::abi::BUFFER_ALIGN as usize;

impl Buffer {
    pub const fn new() -> Buffer {
        // SAFETY: ALIGN is not 0; the address is not read or written while the capacity is 0.
        Buffer { at: unsafe { NonNull::new_unchecked(ptr::without_provenance_mut(ALIGN)) }, len: 0, capacity: 0 }
    }

    /// Memory for so many bytes, or `None` where there is none.
    #[cfg(target_arch = "wasm32")]
    pub fn with_capacity(capacity: usize) -> Option<Buffer> {
        let mut b = Buffer::new();
        b.grow(capacity).then_some(b)
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub fn as_ptr(&self) -> *const u8 {
        self.at.as_ptr()
    }

    pub fn as_mut_ptr(&mut self) -> *mut u8 {
        self.at.as_ptr()
    }

    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Makes room for `total` bytes. What was written there before, also behind the length, stays.
    #[inline]
    pub fn reserve(&mut self, total: usize) {
        if total > self.capacity && !self.grow(total.max(2 * self.capacity)) {
            alloc::handle_alloc_error(layout(total));
        }
    }

    #[cold]
    fn grow(&mut self, capacity: usize) -> bool {
        // SAFETY: the layouts have a size that is not 0; `at` was allocated with the layout of the capacity, where that is not 0.
        let at = unsafe {
            if self.capacity == 0 {
                alloc::alloc(layout(capacity))
            } else {
                alloc::realloc(self.at.as_ptr(), layout(self.capacity), layout(capacity).size())
            }
        };
        let Some(at) = NonNull::new(at) else { return false };
        self.at = at;
        self.capacity = layout(capacity).size();
        true
    }

    /// Sets the length. The bytes up to it must have been written, and room for them reserved.
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(len <= self.capacity);
        self.len = len;
    }

    /// Appends bytes.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.len + bytes.len();
        self.reserve(end);
        // SAFETY: there is room behind the length, and `bytes` cannot lie in memory that is borrowed mutably here.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.as_ptr().add(self.len), bytes.len()) };
        self.len = end;
    }
}

fn layout(bytes: usize) -> Layout {
    Layout::from_size_align(bytes.next_multiple_of(ALIGN).max(ALIGN), ALIGN).expect("a buffer larger than memory")
}

impl std::ops::Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: the bytes up to the length have been written.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.len) }
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for Deref, and self is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), self.len) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.capacity > 0 {
            // SAFETY: it was allocated with this layout.
            unsafe { alloc::dealloc(self.at.as_ptr(), layout(self.capacity)) };
        }
    }
}
