use crate::cell::mix;
use crate::host::Core;
use crate::part::{Declaration, Declare, Part, PartRef};
use crate::Timestamp;
use std::cell::Cell;
use std::rc::Rc;

/// The clock, randomness and log that the host owns, and where the operator runs.
pub struct Context {
    core: Rc<Core>,
    random: Cell<(u64, u64)>, // sequence of the frame that it is seeded for, and the state
}

/// How much a line of the log matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// The step of splitmix64: 2^64 by the golden ratio.
const GAMMA: u64 = 0x9e3779b97f4a7c15;

impl Context {
    /// The watermark that the item under way sees: the last before its batch, or the one that makes the timer fire;
    /// [`Timestamp::NONE`] before the first and [`Timestamp::END`] after the last. A row is late where its event time is not after it.
    pub fn watermark(&self) -> Timestamp {
        Timestamp(self.core.watermark.get())
    }

    /// The processing time, the same for all items of a frame. It never goes back.
    pub fn processing_time(&self) -> Timestamp {
        Timestamp(self.core.processing_time.get())
    }

    /// A random number. The host seeds the numbers of each frame, so that a frame that runs again draws the same (splitmix64:
    /// Steele, Lea, Flood, "Fast splittable pseudorandom number generators").
    pub fn random(&self) -> u64 {
        let sequence = self.core.echo.get().sequence;
        let (seeded, mut state) = self.random.get();
        if seeded != sequence {
            state = mix(mix(GAMMA, self.core.seed.get()), sequence);
        }
        state = state.wrapping_add(GAMMA);
        self.random.set((sequence, state));
        let z = (state ^ state >> 30).wrapping_mul(0xbf58476d1ce4e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d049bb133111eb);
        z ^ z >> 31
    }

    /// A random number that is at least 0 and less than 1.
    pub fn random_float(&self) -> f64 {
        (self.random() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The name of the job.
    pub fn job(&self) -> &str {
        &self.core.request.job
    }

    /// The operator's name in the job.
    pub fn operator(&self) -> &str {
        &self.core.request.operator
    }

    /// The index of the subtask, from 0 to [`parallelism`](Context::parallelism) - 1.
    pub fn subtask(&self) -> u32 {
        self.core.request.subtask as u32
    }

    /// The number of subtasks.
    pub fn parallelism(&self) -> u32 {
        self.core.request.parallelism as u32
    }

    /// Writes a line to the operator's log, which the host limits in rate and cuts at 8 KiB. What is written stays written also where
    /// the item under way fails.
    pub fn log(&self, level: Level, line: &str) {
        self.core.host.log(level as u32, line);
    }
}

impl Part for Context {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        to.options(&field, "a context", &[]);
        Context { core: to.core.clone(), random: Cell::new((0, 0)) } // frames are counted from 1
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Other
    }
}
