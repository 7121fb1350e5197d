use crate::host::{Core, TimerLog, NO_KEY};
use crate::part::{Declaration, Declare, Part, PartRef};
use crate::Timestamp;
use std::rc::Rc;
use tidemill_sys::abi;

/// A name for timers.
///
/// A timer belongs to the key of the item that sets it. By event time it fires once the watermark has reached its time, with the
/// option `#[tm(processing)]` once processing time has. There is one timer for a key and a tag, which setting replaces, or with
/// `#[tm(many)]` one for each time. A timer set for what the watermark has already reached fires with its next advance;
/// `#[tm(drop)]` drops it. A method with `#[on_fire(field)]` takes the timers of a name; an error rejects the timer: the job's policy
/// says what happens then, and nothing the method did takes effect.
pub struct Timer {
    core: Rc<Core>,
    id: u32,
    domain: u8,
}

/// A timer that fires. Within a key timers fire in order of time, then of the names' declaration, then of tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fired<'a> {
    /// The time it was set for.
    pub time: Timestamp,
    /// Its tag, empty where it has none.
    pub tag: &'a str,
}

impl Timer {
    /// Sets a timer of the current key.
    #[track_caller]
    pub fn set(&self, at: Timestamp) {
        self.change(abi::TIMER_SET, at, "");
    }

    /// Sets a timer of the current key with a tag of at most 256 bytes.
    #[track_caller]
    pub fn set_tag(&self, at: Timestamp, tag: &str) {
        self.change(abi::TIMER_SET, at, tag);
    }

    /// Deletes the timers of the current key without a tag. It counts at once, also for a timer that is already due; deleting what is
    /// not set does nothing.
    #[track_caller]
    pub fn delete(&self) {
        self.change(abi::TIMER_DELETE_TAG, Timestamp(0), "");
    }

    /// Deletes the timers of the current key with a tag.
    #[track_caller]
    pub fn delete_tag(&self, tag: &str) {
        self.change(abi::TIMER_DELETE_TAG, Timestamp(0), tag);
    }

    /// Deletes the timer of the current key for a time and a tag, where the name is declared `many`.
    #[track_caller]
    pub fn delete_at(&self, at: Timestamp, tag: &str) {
        self.change(abi::TIMER_DELETE, at, tag);
    }

    /// The index of the name.
    #[doc(hidden)]
    pub fn id(&self) -> u32 {
        self.id
    }

    #[track_caller]
    fn change(&self, op: u32, at: Timestamp, tag: &str) {
        let key = self.core.key.get();
        if key == NO_KEY {
            panic!("a timer is set or deleted where no item with a key is under way");
        }
        if tag.len() > abi::TAG_BYTES_MAX as usize {
            panic!("a timer's tag is longer than 256 bytes");
        }
        let mut log = self.core.timers.borrow_mut();
        log.tags.extend_from_slice(tag.as_bytes());
        let end = log.tags.len() as u32;
        log.key.push(key);
        log.name.push(self.id as u16);
        log.domain.push(self.domain);
        log.op.push(op as u8);
        log.time.push(at.0);
        log.tag_end.push(end);
        self.core.add_bytes(TimerLog::BYTES + tag.len());
    }
}

impl Part for Timer {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        to.options(&field, "a timer", &["processing", "many", "drop"]);
        let has = |option| field.option(option).is_some();
        to.keyed = true;
        to.timers.push(abi::BindTimer {
            name: field.name.into(),
            mode: if has("many") { abi::TIMER_MANY } else { abi::TIMER_REPLACE }.into(),
            past: if has("drop") { abi::PAST_DROP } else { abi::PAST_NEXT }.into(),
            prefetch: Vec::new(),
        });
        let domain = if has("processing") { abi::DOMAIN_PROCESSING } else { abi::DOMAIN_EVENT };
        Timer { core: to.core.clone(), id: to.timers.len() as u32 - 1, domain: domain as u8 }
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Other
    }
}
