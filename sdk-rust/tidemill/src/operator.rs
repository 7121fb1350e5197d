//! Operators and what runs them.

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::frame::{Frame, Unreadable};
use crate::host::{Core, Host};
use crate::part::{Declare, OpenProblem, PartRef, Parts};
use crate::timer::Fired;
use crate::Timestamp;
use std::rc::Rc;
use tidemill_sys::abi;

/// An operator, made by `#[operator]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no operator", note = "its impl block, or the function, needs #[operator]")]
pub trait Operator: Parts + 'static {
    /// Its name in the module.
    const NAME: &'static str;
    /// What it does.
    const DOC: &'static str;
    /// Whether it has a method `#[on_watermark]`.
    const ON_WATERMARK: bool = false;
    /// Whether it has a method `#[on_end]`.
    const ON_END: bool = false;

    /// Ports and timers that have a handler.
    fn handled(&self, ports: &mut Vec<u32>, timers: &mut Vec<u32>);
    /// Runs when parameters are set.
    fn on_open(&mut self) -> Result {
        Ok(())
    }
    /// Processes the first items of a BATCH frame and returns how many took effect.
    fn run(&mut self, port: u32, frame: &Frame<'_>, items: usize) -> Result<usize>;
    /// Takes a timer that fires.
    fn fire(&mut self, timer: u32, fired: Fired<'_>) -> Result;
    /// Takes an advance of the watermark.
    fn on_watermark(&mut self, _: Timestamp) -> Result {
        Ok(())
    }
    /// Takes the end of the input.
    fn on_end(&mut self) -> Result {
        Ok(())
    }
}

/// An operator of a module.
#[derive(Clone, Copy)]
pub struct Entry {
    pub(crate) name: &'static str,
    describe: fn() -> std::result::Result<abi::Entry, OpenProblem>,
    open: fn(abi::OpenRequest, Rc<dyn Host>) -> Opened,
}

type Opened = std::result::Result<(Box<dyn Runs>, abi::Descriptor), OpenProblem>;

impl Entry {
    /// The entry of an operator.
    pub const fn of<O: Operator>() -> Entry {
        Entry { name: O::NAME, describe: describe::<O>, open: Slot::<O>::open }
    }
}

/// An opened operator.
pub(crate) trait Runs {
    /// Answers a frame: nothing where nothing came of it.
    fn process(&mut self, data: &[u8]) -> &[u8];
    fn core(&self) -> &Rc<Core>;
}

/// The description of a module, the answer of `tidemill_describe`.
pub(crate) fn description(entries: &[Entry]) -> std::result::Result<abi::Description, OpenProblem> {
    let mut list = Vec::new();
    for (i, e) in entries.iter().enumerate() {
        if entries[..i].iter().any(|other| other.name == e.name) {
            return Err(OpenProblem::new(format!("operator {} is there twice", e.name)));
        }
        list.push((e.describe)()?);
    }
    Ok(abi::Description {
        abi: abi::VERSION.into(),
        sdk: abi::SDK {
            name: "rust".into(),
            version: env!("CARGO_PKG_VERSION").into(),
            language: env!("TIDEMILL_COMPILER").into(),
        },
        entries: list,
        requires: Vec::new(),
    })
}

/// Opens an operator.
pub(crate) fn open(entries: &[Entry], request: abi::OpenRequest, host: Rc<dyn Host>) -> Opened {
    match entries.iter().find(|e| e.name == request.entry) {
        Some(e) => (e.open)(request, host),
        None => Err(OpenProblem::new(format!("the module has no operator \"{}\"", request.entry))),
    }
}

/// The host of an operator that is only described.
struct Nobody;

impl Host for Nobody {
    fn log(&self, _: u32, _: &str) {}
    fn state_get(&self, _: u32, _: u32, _: &[u8], _: &mut [u8]) -> i32 {
        -1
    }
    fn scan_open(&self, _: u32, _: u32, _: &[u8], _: u32) -> i32 {
        0
    }
    fn scan_next(&self, _: i32, _: &mut [u8]) -> i32 {
        0
    }
    fn apply(&self, _: &[u8]) {}
}

fn describe<O: Operator>() -> std::result::Result<abi::Entry, OpenProblem> {
    let mut d = Declare::new(Core::new(abi::OpenRequest::default(), Rc::new(Nobody)), None);
    let mut op = O::declare(&mut d);
    if let Some(mut problem) = d.problem {
        problem.message = format!("operator {}: {}", O::NAME, problem.message);
        return Err(problem);
    }
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    op.parts(&mut |part| match part {
        PartRef::Input(i) => inputs.push(abi::InputPort { keyed: d.keyed, ..i.port() }),
        PartRef::Output(o) => outputs.push(o.name().to_string()),
        _ => {}
    });
    if inputs.is_empty() {
        return Err(OpenProblem::new(format!("operator {} has no input port: it needs a field of type In or BatchIn", O::NAME)));
    }
    let kind = abi::ENTRY_OPERATOR.into();
    Ok(abi::Entry { name: O::NAME.into(), kind, doc: O::DOC.trim().into(), params: d.params, inputs, outputs })
}

/// One opened operator.
struct Slot<O> {
    core: Rc<Core>,
    op: O,
    answer: Answer,
}

/// The part of frame_bytes at which a frame ends: the rest is room for what its last item does.
const ANSWER_SHARE: usize = 2;

impl<O: Operator> Slot<O> {
    fn open(request: abi::OpenRequest, host: Rc<dyn Host>) -> Opened {
        let core = Core::new(request, host);
        let mut d = Declare::new(core.clone(), Some(&core.request.params));
        let op = O::declare(&mut d);
        d.check_params();
        let given = core.request.inputs.len();
        if d.inputs as usize != given {
            d.wrong(OpenProblem::new(format!("the operator has {} input ports, the job gives {given}", d.inputs)));
        }
        let (timers, metrics, keyed, problem) = (d.timers, d.metrics, d.keyed, d.problem);
        if let Some(problem) = problem {
            return Err(problem);
        }
        core.metrics.borrow_mut().values.resize(metrics.len(), None);
        let mut slot = Slot { core, op, answer: Answer::default() };
        slot.op.on_open()?;
        let mut descriptor =
            abi::Descriptor { fault_cell: slot.core.fault_cell(), timers, metrics, ..abi::Descriptor::default() };
        slot.bind(keyed, &mut descriptor)?;
        slot.check_handlers(&descriptor)?;
        for (name, wanted) in [(abi::CALLBACK_WATERMARK, O::ON_WATERMARK), (abi::CALLBACK_END, O::ON_END)] {
            if wanted {
                descriptor.callbacks.push(name.into());
            }
        }
        Ok((Box::new(slot), descriptor))
    }

    /// Resolves the parts.
    fn bind(&mut self, keyed: bool, d: &mut abi::Descriptor) -> std::result::Result<(), OpenProblem> {
        let request = &self.core.request;
        let mut inputs = request.inputs.iter();
        let (mut reads_key, mut prefetch, mut problem) = (false, Vec::new(), None);
        self.op.parts(&mut |part| {
            let bound = match part {
                PartRef::Input(i) => bind_input(i, inputs.next(), keyed).map(|bind| d.inputs.push(bind)),
                PartRef::Output(o) => o.bind().map(|bind| d.outputs.push(bind)),
                PartRef::Key(k) => k.bind(&request.key).map(|()| reads_key = true),
                PartRef::State(s) => {
                    d.states.push(s.bind());
                    let names = request.inputs.iter().map(|i| i.port.as_str()).chain(d.timers.iter().map(|t| t.name.as_str()));
                    prefetch.push(names.filter(|n| s.prefetched(n)).map(String::from).collect::<Vec<_>>());
                    Ok(())
                }
                PartRef::Other => Ok(()),
            };
            if let Err(p) = bound {
                problem.get_or_insert(p);
            }
        });
        if let Some(problem) = problem {
            return Err(problem);
        }
        let states_of = |name: &str| -> Vec<String> {
            let wanted = d.states.iter().zip(&prefetch).filter(|(_, by)| by.iter().any(|n| n == name));
            wanted.map(|(s, _)| s.name.clone()).collect()
        };
        for (bind, given) in d.inputs.iter_mut().zip(&request.inputs) {
            bind.needs_key = reads_key;
            bind.prefetch = states_of(&given.port);
        }
        for t in &mut d.timers {
            t.prefetch = states_of(&t.name);
        }
        Ok(())
    }

    fn check_handlers(&self, d: &abi::Descriptor) -> std::result::Result<(), OpenProblem> {
        let (mut ports, mut timers) = (Vec::new(), Vec::new());
        self.op.handled(&mut ports, &mut timers);
        for (i, given) in self.core.request.inputs.iter().enumerate() {
            if !ports.contains(&(i as u32)) {
                return Err(OpenProblem::new(format!("port {}: it has no method #[on_row] or #[on_batch]", given.port)));
            }
        }
        for (i, t) in d.timers.iter().enumerate() {
            if !timers.contains(&(i as u32)) {
                return Err(OpenProblem::new(format!("timer {}: it has no method #[on_fire]", t.name)));
            }
        }
        Ok(())
    }

    /// Forgets what the frame did so far.
    fn begin(&mut self, frame: &Frame<'_>, bytes_max: usize) {
        self.core.restart(bytes_max / ANSWER_SHARE);
        let keys = frame.keys().map_or(0, |k| k.u32(4) as usize);
        self.op.parts(&mut |part| match part {
            PartRef::Output(o) => o.reset(),
            PartRef::State(s) => s.load(keys, frame),
            PartRef::Key(k) => k.load(frame),
            _ => {}
        });
    }

    fn run(&mut self, frame: &Frame<'_>, items: usize) -> Result<usize> {
        match frame.kind {
            abi::KIND_BATCH => self.op.run(frame.port, frame, items),
            abi::KIND_TIMERS => self.run_timers(frame, items),
            abi::KIND_WATERMARK => self.op.on_watermark(Timestamp(frame.watermark)).map(|()| 0),
            abi::KIND_END => self.op.on_end().map(|()| 0),
            kind => Err(Error::new(format!("frames of kind {} are not supported", kind.0))),
        }
    }

    fn run_timers(&mut self, frame: &Frame<'_>, items: usize) -> Result<usize> {
        let Some(section) = frame.timers() else { return Ok(0) };
        let n = section.u32(0) as usize;
        let (keys, names): (&[u32], &[u16]) = (section.array(8, n), section.array(12, n));
        let (times, tag_ends): (&[i64], &[u32]) = (section.array(24, n), section.array(28, n + 1));
        let tags: &[u8] = section.array(32, section.u32(36) as usize);
        for i in 0..items {
            self.core.item.set(i as u32);
            self.core.key.set(keys[i]);
            // SAFETY: tags are UTF-8 by the contract.
            let tag = unsafe { std::str::from_utf8_unchecked(&tags[tag_ends[i] as usize..tag_ends[i + 1] as usize]) };
            self.op.fire(names[i].into(), Fired { time: Timestamp(times[i]), tag })?;
            if self.core.bytes.get() >= self.core.stop.get() {
                return Ok(i + 1);
            }
        }
        Ok(items)
    }

    /// Builds the answer to a frame of which the first `done` items took effect; returns its length.
    fn finish(&mut self, done: usize, items: usize) -> usize {
        let (answer, core) = (&mut self.answer, &self.core);
        let mut sections = 3; // CONSUMED, TIMERS, METRICS
        self.op.parts(&mut |part| match part {
            PartRef::Output(o) => sections += o.sections(),
            PartRef::State(_) => sections += 1,
            _ => {}
        });
        answer.start(core.echo.get(), sections, true);
        if done < items {
            let head = answer.open(abi::SECTION_CONSUMED, 0, abi::CONSUMED_SIZE, 0);
            answer.put_u32(head, done as u32);
            answer.close();
        }
        self.op.parts(&mut |part| match part {
            PartRef::Output(o) => o.flush(answer, done),
            PartRef::State(s) => s.flush(answer),
            _ => {}
        });
        core.timers.borrow_mut().flush(answer);
        core.metrics.borrow().flush(answer);
        if answer.entries() == 0 {
            return 0;
        }
        answer.finish().len() + answer.lent_bytes()
    }

    fn fail(&mut self, code: u32, item: u32, message: &str) -> &[u8] {
        let message = cut(message, abi::ERROR_MESSAGE_BYTES as usize);
        self.answer.start(self.core.echo.get(), 1, false);
        let head = self.answer.open(abi::SECTION_ERROR, 0, abi::ERROR_SIZE, 0);
        self.answer.put_u32(head, code);
        self.answer.put_u32(head + 4, item);
        self.answer.put_u32(head + 8, message.len() as u32);
        self.answer.text(message.as_bytes());
        self.answer.close();
        self.answer.finish()
    }
}

impl<O: Operator> Runs for Slot<O> {
    fn core(&self) -> &Rc<Core> {
        &self.core
    }

    fn process(&mut self, data: &[u8]) -> &[u8] {
        let frame = match Frame::read(data) {
            Ok(frame) => frame,
            Err(why) => {
                let why = match why {
                    Unreadable::Foreign => "not a frame of version 1 of the contract",
                    Unreadable::Section => "the frame has a section that must be understood and is not known",
                };
                return self.fail(abi::ERROR_CODE_UNEXPECTED, abi::ITEM_NONE, why);
            }
        };
        self.core.begin(&frame);
        let (all, bytes_max) = (frame.items(), self.core.request.limits.frame_bytes as usize);
        let mut items = all;
        loop {
            self.core.items.set(items);
            self.begin(&frame, bytes_max);
            let done = match self.run(&frame, items) {
                Ok(done) => done,
                Err(e) => return self.fail(abi::ERROR_CODE_USER, self.core.item.get(), &e.parts().0),
            };
            let last = self.core.item.replace(abi::ITEM_NONE); // what goes wrong from here on is no single item's fault
            if self.core.bytes.get() <= bytes_max {
                match self.finish(done, all) {
                    0 => return &[],
                    n if n <= bytes_max => return self.answer.bytes(),
                    _ => {}
                }
            }
            // Frames end well before the limit, but one item can go past it. What it did cannot be taken back by itself, so fewer
            // items run again. Where changes went to the host already, the host must start over, with single items.
            let item = match done {
                0 | 1 => last,
                _ if self.core.applied.get() => abi::ITEM_NONE,
                _ => {
                    items = done / 2;
                    continue;
                }
            };
            let message = format!("the answer to one item is larger than frame_bytes ({bytes_max})");
            return self.fail(abi::ERROR_CODE_LIMIT, item, &message);
        }
    }
}

fn bind_input(
    input: &mut dyn crate::part::Input,
    given: Option<&abi::OpenInput>,
    keyed: bool,
) -> std::result::Result<abi::BindInput, OpenProblem> {
    let Some(given) = given else { return Err(OpenProblem::new("a port is missing")) };
    if keyed && !given.keyed {
        let message = format!("port {} must be keyed, because the operator has state, timers or a key", given.port);
        return Err(OpenProblem::new(message));
    }
    input.bind(given)
}

/// The first bytes of a text, whole characters.
pub(crate) fn cut(text: &str, max: usize) -> &str {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// The text of a panic.
pub(crate) fn panic_message(payload: &(dyn std::any::Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return text;
    }
    payload.downcast_ref::<String>().map_or("panic with a value that is no text", String::as_str)
}
