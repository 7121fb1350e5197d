//! Parts: what the fields of an operator are, and how they are declared.

use crate::answer::Answer;
use crate::error::Error;
use crate::frame::Frame;
use crate::host::Core;
use crate::row::ColumnProblem;
use std::rc::Rc;
use tidemill_sys::abi;
use tidemill_sys::json::Value;

/// A port, state, timer, metric, key or context: a field of a struct that derives `Operator`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no part of an operator",
    note = "mark a field of your own with #[local], a parameter with #[param] and a group of parts with #[tm(flatten)]"
)]
pub trait Part: Sized {
    /// Makes the part.
    fn declare(to: &mut Declare<'_>, field: Declaration) -> Self;
    /// The part for the engine.
    fn part(&mut self) -> PartRef<'_>;
}

/// What the engine does with a part.
pub enum PartRef<'a> {
    /// An input port.
    Input(&'a mut dyn Input),
    /// An output port.
    Output(&'a mut dyn Output),
    /// A state.
    State(&'a mut dyn State),
    /// A reader of the key.
    Key(&'a mut dyn Keyed),
    /// Nothing.
    Other,
}

/// What a field says of its part.
pub struct Declaration {
    /// The name, from the field or its option.
    pub name: &'static str,
    /// The documentation comment.
    pub doc: &'static str,
    /// Other options, with an empty value where they have none.
    pub options: &'static [(&'static str, &'static str)],
}

impl Declaration {
    /// The value of an option.
    pub(crate) fn option(&self, name: &str) -> Option<&'static str> {
        self.options.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
}

/// Takes the declarations of an operator's parts.
pub struct Declare<'a> {
    pub(crate) core: Rc<Core>,
    pub(crate) given: Option<&'a [(String, Value)]>, // None while a module is described
    pub(crate) params: Vec<abi::Param>,
    pub(crate) timers: Vec<abi::BindTimer>,
    pub(crate) metrics: Vec<abi::BindMetric>,
    pub(crate) inputs: u32,
    pub(crate) outputs: u32,
    pub(crate) states: u32,
    pub(crate) keyed: bool,
    pub(crate) problem: Option<OpenProblem>, // the first
}

/// Why an operator cannot be opened.
#[derive(Debug, Default)]
pub struct OpenProblem {
    pub message: String,
    pub param: Option<String>,
    pub column: Option<String>,
}

impl OpenProblem {
    pub(crate) fn new(message: impl Into<String>) -> OpenProblem {
        OpenProblem { message: message.into(), ..OpenProblem::default() }
    }

    pub(crate) fn param(name: &str, message: impl Into<String>) -> OpenProblem {
        OpenProblem { message: message.into(), param: Some(name.into()), column: None }
    }

    pub(crate) fn column(port: &str, problem: ColumnProblem) -> OpenProblem {
        OpenProblem { message: problem.message, param: None, column: Some(format!("{port}.{}", problem.column)) }
    }
}

impl From<Error> for OpenProblem {
    fn from(e: Error) -> OpenProblem {
        let (message, param) = e.parts();
        OpenProblem { message, param: param.map(Into::into), column: None }
    }
}

impl<'a> Declare<'a> {
    pub(crate) fn new(core: Rc<Core>, given: Option<&'a [(String, Value)]>) -> Declare<'a> {
        Declare {
            core,
            given,
            params: Vec::new(),
            timers: Vec::new(),
            metrics: Vec::new(),
            inputs: 0,
            outputs: 0,
            states: 0,
            keyed: false,
            problem: None,
        }
    }

    pub(crate) fn wrong(&mut self, problem: OpenProblem) {
        self.problem.get_or_insert(problem);
    }

    /// Notes what is wrong with a field.
    pub(crate) fn wrong_field(&mut self, field: &Declaration, why: impl std::fmt::Display) {
        self.wrong(OpenProblem::new(format!("field {}: {why}", field.name)));
    }

    /// Refuses options that the part does not have.
    pub(crate) fn options(&mut self, field: &Declaration, what: &str, known: &[&str]) {
        if let Some((unknown, _)) = field.options.iter().find(|(name, _)| !known.contains(name)) {
            self.wrong_field(field, format!("{what} has no option {unknown}"));
        }
    }
}

/// An input port.
pub trait Input {
    /// The port with the columns that it cannot do without.
    fn port(&self) -> abi::InputPort;
    /// Resolves the columns.
    fn bind(&mut self, input: &abi::OpenInput) -> Result<abi::BindInput, OpenProblem>;
}

/// An output port.
pub trait Output {
    /// The port's name.
    fn name(&self) -> &str;
    /// Resolves the columns.
    fn bind(&mut self) -> Result<abi::BindOutput, OpenProblem>;
    /// Forgets what was emitted.
    fn reset(&mut self);
    /// The most sections that `flush` adds.
    fn sections(&self) -> usize;
    /// Adds what was emitted to the answer; `done` items took effect.
    fn flush(&mut self, to: &mut Answer, done: usize);
}

/// A keyed state.
pub trait State {
    /// The state by name.
    fn bind(&self) -> abi::BindState;
    /// Whether it is to come with frames of a port or timer.
    fn prefetched(&self, port_or_timer: &str) -> bool;
    /// Begins a frame of so many keys.
    fn load(&mut self, keys: usize, frame: &Frame<'_>);
    /// Adds the changes since `load` to the answer.
    fn flush(&mut self, to: &mut Answer);
}

/// A reader of the key.
pub trait Keyed {
    /// Resolves the columns.
    fn bind(&mut self, key: &[abi::Field]) -> Result<(), OpenProblem>;
    /// Begins a frame.
    fn load(&mut self, frame: &Frame<'_>);
}

/// An operator's parts, made by `#[derive(Operator)]`.
#[diagnostic::on_unimplemented(message = "`{Self}` is no operator", note = "its struct needs #[derive(Operator)]")]
pub trait Parts: Sized {
    /// Makes the operator.
    fn declare(to: &mut Declare<'_>) -> Self;
    /// Visits the parts in the order of the fields.
    fn parts(&mut self, visit: &mut dyn FnMut(PartRef<'_>));
}
