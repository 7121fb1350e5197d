use crate::host::Core;
use crate::part::{Declaration, Declare, Part, PartRef};
use std::rc::Rc;
use tidemill_sys::abi;

/// A metric that only grows. What is added counts when the items under way take effect.
pub struct Counter(Metric);

/// A metric with a value, the last one set in a subtask.
pub struct Gauge(Metric);

struct Metric {
    core: Rc<Core>,
    id: usize,
}

impl Counter {
    /// Adds n.
    pub fn add(&self, n: u64) {
        self.0.change(|old| old.unwrap_or(0).wrapping_add(n));
    }
}

impl Gauge {
    /// Sets the value.
    pub fn set(&self, value: f64) {
        self.0.change(|_| value.to_bits());
    }
}

impl Metric {
    fn declare(to: &mut Declare<'_>, field: &Declaration, kind: &str) -> Metric {
        to.options(field, "a metric", &[]);
        to.metrics.push(abi::BindMetric { name: field.name.into(), kind: kind.into(), doc: field.doc.trim().into() });
        Metric { core: to.core.clone(), id: to.metrics.len() - 1 }
    }

    #[inline]
    fn change(&self, new: impl FnOnce(Option<u64>) -> u64) {
        let mut log = self.core.metrics.borrow_mut();
        let old = log.values[self.id];
        log.touched += usize::from(old.is_none());
        log.values[self.id] = Some(new(old));
    }
}

impl Part for Counter {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        Counter(Metric::declare(to, &field, abi::METRIC_COUNTER))
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Other
    }
}

impl Part for Gauge {
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self {
        Gauge(Metric::declare(to, &field, abi::METRIC_GAUGE))
    }

    fn part(&mut self) -> PartRef<'_> {
        PartRef::Other
    }
}
