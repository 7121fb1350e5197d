//! `#[derive(Operator)]` and `#[operator]`.

use crate::duration;
use crate::parse::{choices, code, doc, snake, tokens, with_static, Attribute, Field, Parsed, Problem, Reader, Struct};
use proc_macro::{Delimiter, Group, Ident, TokenStream, TokenTree};

pub fn derive_operator(input: TokenStream) -> Parsed<TokenStream> {
    let s = Struct::parse(input)?;
    if s.lifetime.is_some() {
        return Err(Problem::new(s.name.span(), "an operator borrows nothing"));
    }
    let (mut declared, mut visited) = (TokenStream::new(), TokenStream::new());
    for field in &s.fields {
        let arguments = [tokens(&field.name), field.typ.clone()];
        if field.has("local") {
            declared.extend(code("__0: ::std::default::Default::default(),", &arguments));
        } else if field.has("param") {
            declared.extend(param(field)?);
        } else {
            let (part, visit) = part(field)?;
            declared.extend(code(&format!("__0: {part},"), &arguments));
            visited.extend(code(visit, &arguments));
        }
    }
    Ok(code(
        "#[automatically_derived]
        impl ::tidemill::__::Parts for __0 {
            fn declare(to: &mut ::tidemill::__::Declare<'_>) -> Self { __0 { __1 } }
            fn parts(&mut self, visit: &mut dyn ::std::ops::FnMut(::tidemill::__::PartRef<'_>)) { __2 }
        }",
        &[tokens(&s.name), declared, visited],
    ))
}

fn param(field: &Field) -> Parsed<TokenStream> {
    let (mut name, mut default) = (field.plain_name(), code("::std::option::Option::None", &[]));
    for option in field.options("param")? {
        match (option.name.as_str(), &option.value) {
            ("name", _) => name = option.text()?,
            ("default", Some(value)) => {
                default =
                    code("{ let value: __0 = __1; ::std::option::Option::Some(value) }", &[field.typ.clone(), value.clone()]);
            }
            _ => return Err(Problem::new(option.span, "options of a parameter are name = \"...\" and default = value")),
        }
    }
    let doc = doc(&field.attributes);
    Ok(code(&format!("__0: to.param::<__1>({name:?}, {doc:?}, __2),"), &[tokens(&field.name), field.typ.clone(), default]))
}

/// The code that makes a part, and the one that visits it.
fn part(field: &Field) -> Parsed<(String, &'static str)> {
    let (mut name, mut options) = (field.plain_name(), String::new());
    for option in field.options("tm")? {
        match (option.name.as_str(), &option.value) {
            ("flatten", None) => return Ok(("<__1 as ::tidemill::__::Parts>::declare(to)".into(), "self.__0.parts(visit);")),
            ("name", _) => name = option.text()?,
            ("ttl", _) => {
                let ms = duration::milliseconds(&option.text()?).map_err(|why| Problem::new(option.span, why))?;
                options.push_str(&format!("(\"ttl\", \"{ms}\"),"));
            }
            (other, None) => options.push_str(&format!("({other:?}, \"\"),")),
            (other, Some(_)) => options.push_str(&format!("({other:?}, {:?}),", option.text()?)),
        }
    }
    let doc = doc(&field.attributes);
    let declaration = format!("::tidemill::__::Declaration {{ name: {name:?}, doc: {doc:?}, options: &[{options}] }}");
    let part = format!("<__1 as ::tidemill::__::Part>::declare(to, {declaration})");
    Ok((part, "visit(::tidemill::__::Part::part(&mut self.__0));"))
}

/// Name and documentation of an operator.
struct Names {
    name: String,
    doc: String,
}

impl Names {
    fn of(arguments: TokenStream, attributes: &[Attribute], default: String) -> Parsed<Names> {
        let mut names = Names { name: default, doc: doc(attributes) };
        for option in choices(arguments)? {
            match option.name.as_str() {
                "name" => names.name = option.text()?,
                "doc" => names.doc = option.text()?,
                _ => return Err(Problem::new(option.span, "options of an operator are name = \"...\" and doc = \"...\"")),
            }
        }
        Ok(names)
    }

    fn constants(&self) -> TokenStream {
        code(&format!("const NAME: &'static str = {:?}; const DOC: &'static str = {:?};", self.name, self.doc), &[])
    }
}

pub fn operator(arguments: TokenStream, item: TokenStream) -> Parsed<TokenStream> {
    let mut r = Reader::new(item.clone());
    let attributes = r.attributes()?;
    let visibility = r.visibility();
    if r.is_word("impl") {
        return methods(arguments, attributes, r);
    }
    if r.word("fn") {
        return function(arguments, &attributes, visibility, r, item);
    }
    Err(r.problem("#[operator] is for an impl block or a function; a struct has #[derive(Operator)]"))
}

/// A function of a row: a map, a filter, or with an output as its second parameter a flat map.
fn function(
    arguments: TokenStream,
    attributes: &[Attribute],
    visibility: TokenStream,
    mut r: Reader,
    item: TokenStream,
) -> Parsed<TokenStream> {
    let name = r.ident("a name")?;
    let names = Names::of(arguments, attributes, name.to_string())?;
    let parameters = r.group(Delimiter::Parenthesis, "the parameters of a function without generics")?;
    let mut list = Reader::new(parameters.stream());
    let from = Parameter::read(&mut list)?;
    let mut returned = TokenStream::new();
    if r.punct('-') {
        r.punct('>');
        let mut rest: Vec<TokenTree> = r.rest().into_iter().collect();
        rest.pop(); // the body
        returned = rest.into_iter().collect();
    }
    let row = if from.by_reference { code("&row", &[]) } else { code("row", &[]) };
    let called = [tokens(&name), row];
    let (to, body) = if !list.is_empty() {
        let out = Parameter::read(&mut list)?;
        (
            code("<__0 as ::tidemill::__::OutOf>::Row", &[with_static(out.typ)]),
            code("::tidemill::Outcome::outcome(__0(__1, &self.out))", &called),
        )
    } else if returned.to_string() == "bool" {
        let body = code("if __0(__1) { self.out.emit(::tidemill::FromInput); } ::std::result::Result::Ok(())", &called);
        (code("::tidemill::FromInput", &[]), body)
    } else {
        (with_static(returned), code("let made = __0(__1); self.out.emit(made); ::std::result::Result::Ok(())", &called))
    };
    let made = code(
        "#[doc(hidden)]
        #[allow(non_camel_case_types)]
        __4 struct __0 { port: ::tidemill::In<__1>, out: ::tidemill::Out<__2> }
        impl ::tidemill::__::Parts for __0 {
            fn declare(to: &mut ::tidemill::__::Declare<'_>) -> Self {
                __0 {
                    port: ::tidemill::__::Part::declare(to, ::tidemill::__::Declaration { name: \"in\", doc: \"\", options: &[] }),
                    out: ::tidemill::__::Part::declare(to, ::tidemill::__::Declaration { name: \"out\", doc: \"\", options: &[] }),
                }
            }
            fn parts(&mut self, visit: &mut dyn ::std::ops::FnMut(::tidemill::__::PartRef<'_>)) {
                visit(::tidemill::__::Part::part(&mut self.port));
                visit(::tidemill::__::Part::part(&mut self.out));
            }
        }
        impl ::tidemill::__::Operator for __0 {
            __3
            fn handled(&self, ports: &mut ::std::vec::Vec<u32>, _: &mut ::std::vec::Vec<u32>) { ports.push(self.port.id()); }
            fn run(&mut self, _: u32, frame: &::tidemill::__::Frame<'_>, items: usize) -> ::tidemill::Result<usize> {
                let mut rows = self.port.rows(frame, items);
                let mut failed = ::std::option::Option::None;
                while let ::std::option::Option::Some(row) = rows.next() {
                    let outcome: ::tidemill::Result = { __5 };
                    if let ::std::result::Result::Err(e) = outcome {
                        failed = ::std::option::Option::Some(e);
                        break;
                    }
                }
                self.port.end(rows, failed)
            }
            fn fire(&mut self, _: u32, _: ::tidemill::Fired<'_>) -> ::tidemill::Result { ::std::result::Result::Ok(()) }
        }",
        &[tokens(&name), with_static(from.typ), to, names.constants(), visibility, body],
    );
    Ok(item.into_iter().chain(made).collect())
}

/// A parameter of a function.
struct Parameter {
    typ: TokenStream, // without a reference
    by_reference: bool,
}

impl Parameter {
    fn read(r: &mut Reader) -> Parsed<Parameter> {
        r.attributes()?;
        if r.is_empty() {
            return Err(r.problem("a parameter is expected"));
        }
        r.until(':');
        let mut typ = Reader::new(r.until(','));
        let by_reference = typ.punct('&');
        if by_reference && typ.punct('\'') {
            typ.next();
        }
        Ok(Parameter { typ: typ.rest(), by_reference })
    }
}

/// What a method is called for.
enum Handler {
    Row(TokenStream),
    Batch(TokenStream),
    Fire(TokenStream),
    Watermark,
    End,
    Open,
}

impl Handler {
    fn of(a: &Attribute) -> Parsed<Option<Handler>> {
        let part = |a: &Attribute| -> Parsed<TokenStream> {
            let mut r = Reader::new(a.tokens.clone());
            let inner = (r.next(), r.group(Delimiter::Bracket, "an attribute")?).1;
            let mut inner = Reader::new(inner.stream());
            inner.next();
            let path = inner.group(Delimiter::Parenthesis, "the name of the field, as in #[on_row(field)]")?.stream();
            if path.is_empty() {
                return Err(Problem::new(a.span, "the name of the field is expected"));
            }
            Ok(path)
        };
        Ok(Some(match a.name.as_str() {
            "on_row" => Handler::Row(part(a)?),
            "on_batch" => Handler::Batch(part(a)?),
            "on_fire" => Handler::Fire(part(a)?),
            "on_watermark" => Handler::Watermark,
            "on_end" => Handler::End,
            "on_open" => Handler::Open,
            _ => return Ok(None),
        }))
    }
}

/// A method with a handler's attribute.
struct Method {
    handler: Handler,
    name: Ident,
    by_reference: bool, // the row
    parameters: usize,  // besides self
}

/// The impl block without our attributes, and what they make.
fn methods(arguments: TokenStream, attributes: Vec<Attribute>, mut r: Reader) -> Parsed<TokenStream> {
    let mut head: Vec<TokenTree> = attributes.iter().flat_map(|a| a.tokens.clone()).collect();
    head.extend(r.next());
    let mut typ = Vec::new();
    let body = loop {
        match r.next() {
            Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Brace => break g,
            Some(token) => typ.push(token),
            None => return Err(r.problem("an impl block is expected")),
        }
    };
    let typ: TokenStream = typ.into_iter().collect();
    let last =
        typ.clone().into_iter().filter_map(|t| if let TokenTree::Ident(i) = t { Some(i.to_string()) } else { None }).last();
    let names = Names::of(arguments, &attributes, snake(&last.unwrap_or_default()))?;
    let (items, methods) = read_methods(body.stream())?;
    let mut block = Group::new(Delimiter::Brace, items);
    block.set_span(body.span());
    let generated = implementation(&typ, &names, &methods)?;
    Ok(head.into_iter().chain(typ).chain([TokenTree::Group(block)]).chain(generated).collect())
}

/// The items of an impl block without our attributes, and the methods that had them.
fn read_methods(body: TokenStream) -> Parsed<(TokenStream, Vec<Method>)> {
    let (mut items, mut methods, mut pending) = (TokenStream::new(), Vec::new(), Vec::new());
    let mut r = Reader::new(body);
    while !r.is_empty() {
        for a in r.attributes()? {
            match Handler::of(&a)? {
                Some(handler) => pending.push(handler),
                None => items.extend(a.tokens),
            }
        }
        let Some(token) = r.next() else { break };
        let begins = matches!(&token, TokenTree::Ident(i) if i.to_string() == "fn");
        items.extend([token]);
        if !begins || pending.is_empty() {
            continue;
        }
        let name = r.ident("a name")?;
        items.extend(tokens(&name));
        let group = r.group(Delimiter::Parenthesis, "the parameters of a method without generics")?;
        items.extend([TokenTree::Group(group.clone())]);
        let mut list = Reader::new(group.stream());
        list.until(',');
        let (mut parameters, mut by_reference) = (0, false);
        while !list.is_empty() {
            let p = Parameter::read(&mut list)?;
            by_reference |= parameters == 0 && p.by_reference;
            parameters += 1;
        }
        methods.extend(pending.drain(..).map(|handler| Method { handler, name: name.clone(), by_reference, parameters }));
    }
    Ok((items, methods))
}

fn implementation(typ: &TokenStream, names: &Names, methods: &[Method]) -> Parsed<TokenStream> {
    let [mut handled, mut run, mut fire, mut others]: [TokenStream; 4] = Default::default();
    for m in methods {
        let name = tokens(&m.name);
        let call = |wanted: usize, arguments: &str| -> Parsed<String> {
            if m.parameters > wanted {
                return Err(Problem::new(m.name.span(), format!("the method takes {wanted} parameters besides self at most")));
            }
            let given: Vec<&str> = arguments.split(", ").take(m.parameters).collect();
            Ok(format!("::tidemill::Outcome::outcome(self.__0({}))", given.join(", ")))
        };
        match &m.handler {
            Handler::Row(part) => {
                let arguments = [name, part.clone()];
                handled.extend(code("ports.push(self.__1.id());", &arguments));
                let call = call(1, if m.by_reference { "&row" } else { "row" })?;
                run.extend(code(&format!("if port == self.__1.id() {{ {} }}", ROWS.replace("CALL", &call)), &arguments));
            }
            Handler::Batch(part) => {
                let arguments = [name, part.clone()];
                handled.extend(code("ports.push(self.__1.id());", &arguments));
                let call = call(2, "columns, batch")?;
                let text = format!(
                    "if port == self.__1.id() {{
                        let (columns, batch) = self.__1.batch(frame, items);
                        return {call}.map(|()| items);
                    }}"
                );
                run.extend(code(&text, &arguments));
            }
            Handler::Fire(part) => {
                let arguments = [name, part.clone()];
                handled.extend(code("timers.push(self.__1.id());", &arguments));
                fire.extend(code(&format!("if timer == self.__1.id() {{ return {}; }}", call(1, "fired")?), &arguments));
            }
            Handler::Watermark => others.extend(code(
                &format!(
                    "const ON_WATERMARK: bool = true;
                    fn on_watermark(&mut self, at: ::tidemill::Timestamp) -> ::tidemill::Result {{ {} }}",
                    call(1, "at")?
                ),
                &[name],
            )),
            Handler::End => others.extend(code(
                &format!("const ON_END: bool = true; fn on_end(&mut self) -> ::tidemill::Result {{ {} }}", call(0, "")?),
                &[name],
            )),
            Handler::Open => {
                others.extend(code(&format!("fn on_open(&mut self) -> ::tidemill::Result {{ {} }}", call(0, "")?), &[name]));
            }
        }
    }
    Ok(code(
        "impl ::tidemill::__::Operator for __0 {
            __1
            fn handled(&self, ports: &mut ::std::vec::Vec<u32>, timers: &mut ::std::vec::Vec<u32>) { __2 }
            fn run(&mut self, port: u32, frame: &::tidemill::__::Frame<'_>, items: usize) -> ::tidemill::Result<usize> {
                __3
                ::std::unreachable!(\"a frame of a port without a handler\")
            }
            fn fire(&mut self, timer: u32, fired: ::tidemill::Fired<'_>) -> ::tidemill::Result {
                __4
                ::std::unreachable!(\"a timer without a handler\")
            }
            __5
        }",
        &[typ.clone(), names.constants(), handled, run, fire, others],
    ))
}

/// The loop over the rows of a port, which is `__1`; CALL stands for the call of the method.
const ROWS: &str = "
    let mut rows = self.__1.rows(frame, items);
    let mut failed = ::std::option::Option::None;
    while let ::std::option::Option::Some(row) = rows.next() {
        if let ::std::result::Result::Err(e) = CALL {
            failed = ::std::option::Option::Some(e);
            break;
        }
    }
    return self.__1.end(rows, failed);";
