//! `#[derive(Row)]` and `#[derive(Columns)]`.

use crate::parse::{code, tokens, Choice, Field, Parsed, Problem, Struct};
use proc_macro::TokenStream;
use std::slice::from_ref;

const RULES: &str = "options of a field are name, event_time, tz, from, all and flatten";

/// The calls that add a field's options to `Field`, name first, and whether it is flattened.
fn options(field: &Field) -> Parsed<(String, bool)> {
    let (mut calls, mut name, mut flatten) = (String::new(), String::new(), false);
    for Choice { name: option, span, value } in &field.options("tm")? {
        let choice = Choice { name: option.clone(), span: *span, value: value.clone() };
        match (option.as_str(), value) {
            ("name", _) => name = format!(".name({:?})", choice.text()?),
            ("from", _) => calls.push_str(&format!(".from({:?})", choice.text()?)),
            ("event_time" | "tz" | "all", None) => calls.push_str(&format!(".{option}()")),
            ("flatten", None) => flatten = true,
            _ => return Err(Problem::new(*span, RULES)),
        }
    }
    Ok((name + &calls, flatten))
}

/// The parts of `impl<'a> Trait for Name<'a>`: generics, and the view's type.
fn generics(s: &Struct) -> (TokenStream, TokenStream, TokenStream) {
    match &s.lifetime {
        Some(lifetime) => {
            let generics = code("<__0>", from_ref(lifetime));
            (generics.clone(), code("__0 __1", &[tokens(&s.name), generics]), code("__0<'__v>", &[tokens(&s.name)]))
        }
        None => (TokenStream::new(), tokens(&s.name), tokens(&s.name)),
    }
}

/// The code of each method for one field: of a type of column, and of a row that is flattened. `__0` is the field's name, `__1` its type as
/// the trait, `__2` where its columns begin, `__3` its type.
const METHODS: [[&str; 2]; 9] = [
    ["__0: unsafe { __1::read(&*columns.add(__2), row) },", "__0: unsafe { __1::read(columns.add(__2), row) },"],
    ["unsafe { __1::write(&row.__0, &mut *to.add(__2), at) };", "unsafe { __1::write(&row.__0, to.add(__2), at) };"],
    ["__0: __1::copy(&row.__0),"; 2],
    ["__0: unsafe { __1::keep(row.__0, arena) },"; 2],
    ["+ __1::text_bytes(&row.__0)"; 2],
    [".then_with(|| __1::compare(&a.__0, &b.__0))"; 2],
    ["let seed = __1::hash(&row.__0, seed);"; 2],
    ["to.push(__1::datum(&row.__0));", "__1::data(&row.__0, to);"],
    ["__0: __1::from_datum(data.get(__2)?)?,", "__0: __1::from_data(data.get(__2..)?)?,"],
];

pub fn derive_row(input: TokenStream) -> Parsed<TokenStream> {
    let s = Struct::parse(input)?;
    let mut fields = TokenStream::new();
    let [mut len, mut width, mut ordered] = [code("0", &[]), code("0", &[]), code("true", &[])];
    let mut bodies: [TokenStream; METHODS.len()] = Default::default();
    for field in &s.fields {
        let (calls, flatten) = options(field)?;
        let of =
            code(if flatten { "<__0 as ::tidemill::__::Row>" } else { "<__0 as ::tidemill::__::Cell>" }, from_ref(&field.typ));
        let arguments = [tokens(&field.name), of, code("(__0)", &[len.clone()]), field.typ.clone()];
        for (body, texts) in bodies.iter_mut().zip(METHODS) {
            body.extend(code(texts[usize::from(flatten)], &arguments));
        }
        let add = format!("list.push(::tidemill::__::Field::new::<__3>({:?}){calls});", field.plain_name());
        let (add, columns, bytes) = if flatten {
            ("__1::fields(list);", "+ __1::LEN", "+ __1::WIDTH")
        } else {
            (add.as_str(), "+ 1", "+ ::tidemill::__::cell_width::<__3>()")
        };
        fields.extend(code(add, &arguments));
        len.extend(code(columns, &arguments));
        width.extend(code(bytes, &arguments));
        ordered.extend(code("&& __1::ORDERED", &arguments));
    }
    let [read, write, copy, keep, text_bytes, compare, hash, data, from_data] = bodies;
    let (generics, whole, view) = generics(&s);
    Ok(code(
        "#[automatically_derived]
        #[allow(unused_variables, unused_unsafe, clippy::all)]
        unsafe impl __0 ::tidemill::__::Row for __1 {
            type View<'__v> = __2;
            const LEN: usize = __3;
            const WIDTH: usize = __4;
            const ORDERED: bool = __5;
            fn fields(list: &mut ::std::vec::Vec<::tidemill::__::Field>) { __6 }
            #[inline(always)]
            unsafe fn read<'__v>(columns: *const ::tidemill::__::ColumnView, row: usize) -> Self::View<'__v> { __7 { __8 } }
            #[inline(always)]
            unsafe fn write(row: &Self::View<'_>, to: *mut ::tidemill::__::ColumnWriter, at: usize) { __9 }
            fn copy<'__s, '__l: '__s>(row: &Self::View<'__l>) -> Self::View<'__s> { __7 { __10 } }
            unsafe fn keep(row: Self::View<'_>, arena: &::tidemill::__::Arena) -> Self::View<'static> { __7 { __11 } }
            #[inline(always)]
            fn text_bytes(row: &Self::View<'_>) -> usize { 0 __12 }
            fn compare(a: &Self::View<'_>, b: &Self::View<'_>) -> ::tidemill::__::Ordering {
                ::tidemill::__::Ordering::Equal __13
            }
            fn hash(row: &Self::View<'_>, seed: u64) -> u64 { __14 seed }
            fn data(row: &Self::View<'_>, to: &mut ::std::vec::Vec<::tidemill::__::Datum>) { __15 }
            fn from_data(data: &[::tidemill::__::Datum]) -> ::std::option::Option<Self::View<'static>> {
                ::std::option::Option::Some(__7 { __16 })
            }
        }",
        &[
            generics,
            whole,
            view,
            len,
            width,
            ordered,
            fields,
            tokens(&s.name),
            read,
            write,
            copy,
            keep,
            text_bytes,
            compare,
            hash,
            data,
            from_data,
        ],
    ))
}

pub fn derive_columns(input: TokenStream) -> Parsed<TokenStream> {
    let s = Struct::parse(input)?;
    let [mut fields, mut view_fields, mut write]: [TokenStream; 3] = Default::default();
    for (i, field) in s.fields.iter().enumerate() {
        let (calls, flatten) = options(field)?;
        if flatten {
            return Err(Problem::new(field.name.span(), "columns are not flattened"));
        }
        let arguments = [tokens(&field.name), field.typ.clone()];
        let name = field.plain_name();
        let cell = "<__1 as ::tidemill::__::ColumnCell>";
        fields.extend(code(&format!("list.push({cell}::field({name:?}){calls});"), &arguments));
        view_fields.extend(code(&format!("__0: unsafe {{ {cell}::view(&columns[{i}], rows) }},"), &arguments));
        write.extend(code(&format!("to.column::<__1>({name:?}, &columns.__0);"), &arguments));
    }
    let (generics, whole, view) = generics(&s);
    Ok(code(
        "#[automatically_derived]
        #[allow(unused_variables, clippy::all)]
        unsafe impl __0 ::tidemill::Columns for __1 {
            type View<'__v> = __2;
            fn fields(list: &mut ::std::vec::Vec<::tidemill::__::Field>) { __3 }
            unsafe fn view<'__v>(columns: &[::tidemill::__::ColumnView], rows: usize) -> Self::View<'__v> { __4 { __5 } }
            fn write(columns: &Self::View<'_>, to: &mut ::tidemill::__::Write<'_>) { __6 }
        }",
        &[generics, whole, view, fields, tokens(&s.name), view_fields, write],
    ))
}
