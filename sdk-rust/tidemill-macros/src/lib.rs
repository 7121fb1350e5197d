//! The macros of the crate `tidemill`, which re-exports and explains them. They are written without a parser of all of Rust: what they
//! are put on is small, and so they need no other crate.

mod duration;
mod operator;
mod parse;
mod row;

use proc_macro::TokenStream;

fn expand(made: parse::Parsed<TokenStream>) -> TokenStream {
    made.unwrap_or_else(parse::Problem::tokens)
}

/// Makes a struct of columns a row: see the trait `Row` for the types and options of its fields.
#[proc_macro_derive(Row, attributes(tm))]
pub fn derive_row(input: TokenStream) -> TokenStream {
    expand(row::derive_row(input))
}

/// Makes a struct of slices the columns of a batch: see the trait `Columns` for the types and options of its fields.
#[proc_macro_derive(Columns, attributes(tm))]
pub fn derive_columns(input: TokenStream) -> TokenStream {
    expand(row::derive_columns(input))
}

/// Declares the parts of an operator, which are the fields of a struct in their order.
///
/// | attribute of a field | meaning |
/// |---|---|
/// | none | a part: a port, state, timer, metric, key or context, named after the field |
/// | `#[tm(name = "n")]` | a part of that name |
/// | `#[tm(option)]`, `#[tm(option = "text")]` | an option of the part, which says what it has |
/// | `#[tm(ttl = "24h")]` | of a state: values, elements and entries expire so long after they were last written |
/// | `#[tm(flatten)]` | a struct that derives `Operator` too: its parts, as if they stood here |
/// | `#[param]`, `#[param(default = 30)]`, `#[param(name = "n")]` | a parameter of the job; without a default it is required |
/// | `#[local]` | the operator's own memory, which begins with its default and does not last |
///
/// The documentation comments of parameters and metrics are shown by `tidemill inspect`.
#[proc_macro_derive(Operator, attributes(tm, param, local))]
pub fn derive_operator(input: TokenStream) -> TokenStream {
    expand(operator::derive_operator(input))
}

/// Makes an operator: of a function, or of a struct by the impl block that holds its handlers.
///
/// On an impl block of a struct that derives `Operator`. Every input port and every timer has one handler:
///
/// | attribute of a method | its parameters besides `&mut self` |
/// |---|---|
/// | `#[on_row(port)]` | a row of an `In`, by value or by reference |
/// | `#[on_batch(port)]` | the columns of a `BatchIn`, and a `Batch` |
/// | `#[on_fire(timer)]` | `Fired` |
/// | `#[on_watermark]` | the watermark, a `Timestamp`: after each advance, when the due timers have fired; there is no key then |
/// | `#[on_end]` | none: at the end of all input, after the last timers; there is no key then |
/// | `#[on_open]` | none: when parameters are set and before the first row; it may refuse parameters and must have no other effects |
///
/// A method may leave parameters out from the end, and returns nothing or a `Result`. A part of a flattened struct is named by its path:
/// `#[on_fire(kept.close)]`.
///
/// On a function with one parameter, a row: it is a filter where it returns `bool`, and else makes one row of each. With a second
/// parameter `&Out<To>` it emits any number of rows, and returns nothing or a `Result`. Lifetimes of rows must be written: `Line<'_>`. The
/// ports are called `in` and `out`.
///
/// The operator's name in the module is that of the function, or that of the struct in snake case, unless `#[operator(name = "...")]` says
/// another; its documentation is that of the block or function, or `doc = "..."`. `tidemill::operators!` lists the operators of a module.
#[proc_macro_attribute]
pub fn operator(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand(operator::operator(arguments, item))
}
