use std::fmt;

/// Why an item is rejected, or an operator refuses to open.
///
/// Anything that implements [`std::error::Error`] becomes one by `?`.
pub struct Error {
    message: String,
    param: Option<&'static str>,
}

/// What handlers return: an error rejects the item under way.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with a message for the operator's user.
    pub fn new(message: impl Into<String>) -> Error {
        Error { message: message.into(), param: None }
    }

    /// An error of an `#[on_open]` method about one parameter.
    pub fn param(name: &'static str, message: impl Into<String>) -> Error {
        Error { message: message.into(), param: Some(name) }
    }

    pub(crate) fn parts(self) -> (String, Option<&'static str>) {
        (self.message, self.param)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.param {
            Some(name) => write!(f, "parameter {name}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// Error itself does not implement the trait: this implementation would overlap with From<T> for T.
impl<E: std::error::Error> From<E> for Error {
    fn from(e: E) -> Error {
        Error::new(e.to_string())
    }
}

/// What a handler may return: nothing, or a [`Result`].
pub trait Outcome {
    /// The result.
    fn outcome(self) -> Result;
}

impl Outcome for () {
    fn outcome(self) -> Result {
        Ok(())
    }
}

impl<E: Into<Error>> Outcome for Result<(), E> {
    fn outcome(self) -> Result {
        self.map_err(Into::into)
    }
}
