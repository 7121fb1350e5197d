/// Finds the entries of a map state by their hash: a table of entry numbers with linear probing, 0 = free.
#[derive(Default)]
pub(super) struct Index {
    slots: Vec<u32>, // a power of two of them, at most half of them used
}

const MIN: usize = 64;

impl Index {
    /// The first entry of that hash for which `is` holds, or 0.
    #[inline]
    pub fn find(&self, hash: u32, mut is: impl FnMut(u32) -> bool) -> u32 {
        if self.slots.is_empty() {
            return 0;
        }
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let entry = self.slots[at];
            if entry == 0 || is(entry) {
                return entry;
            }
            at = (at + 1) & mask;
        }
    }

    /// Whether the table must grow to hold n entries.
    pub fn full(&self, n: usize) -> bool {
        2 * n > self.slots.len()
    }

    /// Makes a table of twice the size, with no entries.
    pub fn grow(&mut self) {
        let size = (2 * self.slots.len()).max(MIN);
        self.slots.clear();
        self.slots.resize(size, 0);
    }

    /// Adds an entry; the table is not full.
    pub fn add(&mut self, hash: u32, entry: u32) {
        let free = self.place(hash, 0);
        self.slots[free] = entry;
    }

    /// Frees the slot of an entry. All entries are removed before the next is added: what lies behind a freed slot is not moved up.
    pub fn remove(&mut self, hash: u32, entry: u32) {
        let at = self.place(hash, entry);
        self.slots[at] = 0;
    }

    fn place(&self, hash: u32, entry: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash as usize & mask;
        while self.slots[at] != entry {
            at = (at + 1) & mask;
        }
        at
    }
}
