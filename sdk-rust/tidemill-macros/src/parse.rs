//! Reads the little of Rust that the macros are put on: structs of named fields, functions, and impl blocks. What it does not need to
//! understand it takes as tokens, which keep their places in the source for the compiler's messages.

use proc_macro::{Delimiter, Group, Ident, Literal, Punct, Spacing, Span, TokenStream, TokenTree};
use std::iter::Peekable;

/// A message at a place of the source.
pub struct Problem {
    at: Span,
    message: String,
}

pub type Parsed<T> = Result<T, Problem>;

impl Problem {
    pub fn new(at: Span, message: impl Into<String>) -> Problem {
        Problem { at, message: message.into() }
    }

    /// The tokens `compile_error!("message")`, at the place.
    pub fn tokens(self) -> TokenStream {
        let mut text = Literal::string(&self.message);
        text.set_span(self.at);
        let mut argument = Group::new(Delimiter::Brace, TokenTree::from(text).into());
        argument.set_span(self.at);
        let mut bang = Punct::new('!', Spacing::Alone);
        bang.set_span(self.at);
        let parts: [TokenTree; 3] = [Ident::new("compile_error", self.at).into(), bang.into(), argument.into()];
        parts.into_iter().collect()
    }
}

/// Tokens that are read one after another.
pub struct Reader {
    tokens: Peekable<proc_macro::token_stream::IntoIter>,
    last: Span,
}

impl Reader {
    pub fn new(tokens: TokenStream) -> Reader {
        Reader { tokens: tokens.into_iter().peekable(), last: Span::call_site() }
    }

    pub fn next(&mut self) -> Option<TokenTree> {
        let token = self.tokens.next();
        if let Some(t) = &token {
            self.last = t.span();
        }
        token
    }

    pub fn peek(&mut self) -> Option<&TokenTree> {
        self.tokens.peek()
    }

    pub fn is_empty(&mut self) -> bool {
        self.tokens.peek().is_none()
    }

    /// A message at the next token, or at the last where there is none.
    pub fn problem(&mut self, message: impl Into<String>) -> Problem {
        let at = self.tokens.peek().map_or(self.last, TokenTree::span);
        Problem::new(at, message)
    }

    pub fn is_punct(&mut self, c: char) -> bool {
        matches!(self.peek(), Some(TokenTree::Punct(p)) if p.as_char() == c)
    }

    pub fn is_word(&mut self, word: &str) -> bool {
        matches!(self.peek(), Some(TokenTree::Ident(i)) if i.to_string() == word)
    }

    /// Takes a punctuation mark, where it comes next.
    pub fn punct(&mut self, c: char) -> bool {
        let found = self.is_punct(c);
        if found {
            self.next();
        }
        found
    }

    /// Takes a word, where it comes next.
    pub fn word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        if found {
            self.next();
        }
        found
    }

    pub fn ident(&mut self, what: &str) -> Parsed<Ident> {
        match self.peek() {
            Some(TokenTree::Ident(i)) => {
                let i = i.clone();
                self.next();
                Ok(i)
            }
            _ => Err(self.problem(format!("{what} is expected"))),
        }
    }

    pub fn group(&mut self, delimiter: Delimiter, what: &str) -> Parsed<Group> {
        match self.peek() {
            Some(TokenTree::Group(g)) if g.delimiter() == delimiter => {
                let g = g.clone();
                self.next();
                Ok(g)
            }
            _ => Err(self.problem(format!("{what} is expected"))),
        }
    }

    /// The attributes that come next.
    pub fn attributes(&mut self) -> Parsed<Vec<Attribute>> {
        let mut list = Vec::new();
        while self.is_punct('#') {
            let hash = self.next();
            let group = self.group(Delimiter::Bracket, "an attribute")?;
            let tokens: TokenStream = hash.into_iter().chain([TokenTree::Group(group.clone())]).collect();
            let mut inner = Reader::new(group.stream());
            let name = inner.ident("the name of an attribute")?;
            list.push(Attribute { name: name.to_string(), span: name.span(), arguments: inner.tokens.collect(), tokens });
        }
        Ok(list)
    }

    /// Skips `pub` and `pub(...)`, and returns them.
    pub fn visibility(&mut self) -> TokenStream {
        let mut list = Vec::new();
        if self.is_word("pub") {
            list.extend(self.next());
            if matches!(self.peek(), Some(TokenTree::Group(g)) if g.delimiter() == Delimiter::Parenthesis) {
                list.extend(self.next());
            }
        }
        list.into_iter().collect()
    }

    /// The tokens up to a punctuation mark that stands outside of angle brackets, which is taken and left out.
    pub fn until(&mut self, end: char) -> TokenStream {
        let (mut depth, mut arrow, mut list) = (0, false, Vec::new());
        while let Some(token) = self.peek() {
            if let TokenTree::Punct(p) = token {
                match p.as_char() {
                    c if c == end && depth == 0 => {
                        self.next();
                        break;
                    }
                    '<' => depth += 1,
                    '>' if !arrow => depth -= 1,
                    _ => {}
                }
                arrow = p.as_char() == '-' && p.spacing() == Spacing::Joint;
            } else {
                arrow = false;
            }
            list.extend(self.next());
        }
        list.into_iter().collect()
    }

    pub fn rest(self) -> TokenStream {
        self.tokens.collect()
    }
}

/// An attribute as it stands in the source.
pub struct Attribute {
    pub name: String,
    pub span: Span,
    arguments: TokenStream, // behind the name
    pub tokens: TokenStream,
}

impl Attribute {
    /// The options of `#[name(option, option = value)]`.
    pub fn options(&self) -> Parsed<Vec<Choice>> {
        let mut outer = Reader::new(self.arguments.clone());
        if outer.is_empty() {
            return Ok(Vec::new());
        }
        let group = outer.group(Delimiter::Parenthesis, "(options)")?;
        choices(group.stream())
    }

    /// The text of a documentation comment.
    fn doc(&self) -> Option<String> {
        let mut r = Reader::new(self.arguments.clone());
        (self.name == "doc" && r.punct('=')).then(|| r.next().map(|t| unquote(&t))).flatten()
    }
}

/// The options of a list `option, option = value`.
pub fn choices(tokens: TokenStream) -> Parsed<Vec<Choice>> {
    let mut r = Reader::new(tokens);
    let mut list = Vec::new();
    while !r.is_empty() {
        let name = r.ident("an option")?;
        let value = if r.punct('=') {
            Some(r.until(','))
        } else if r.punct(',') || r.is_empty() {
            None
        } else {
            return Err(r.problem("a comma is expected"));
        };
        list.push(Choice { name: name.to_string(), span: name.span(), value });
    }
    Ok(list)
}

/// The text of documentation comments, their lines in one.
pub fn doc(attributes: &[Attribute]) -> String {
    let lines: Vec<String> = attributes.iter().filter_map(Attribute::doc).map(|l| l.trim().to_string()).collect();
    lines.join(" ").trim().to_string()
}

/// An option, with its value where it has one.
pub struct Choice {
    pub name: String,
    pub span: Span,
    pub value: Option<TokenStream>,
}

impl Choice {
    /// The value, which is a string.
    pub fn text(&self) -> Parsed<String> {
        let text = self.value.clone().and_then(|v| v.into_iter().next()).filter(|t| t.to_string().starts_with('"'));
        text.map(|t| unquote(&t)).ok_or_else(|| Problem::new(self.span, format!("{} = \"...\" is expected", self.name)))
    }
}

/// The content of a string literal.
fn unquote(literal: &TokenTree) -> String {
    let text = literal.to_string();
    if let Some(raw) = text.strip_prefix('r') {
        return raw.trim_matches('#').trim_matches('"').to_string();
    }
    let mut out = String::new();
    let mut chars = text.trim_start_matches('"').chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('u') => {
                    let digits: String = chars.by_ref().take_while(|c| *c != '}').filter(|c| *c != '{').collect();
                    out.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
                }
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}

/// A struct of named fields with at most one lifetime.
pub struct Struct {
    pub name: Ident,
    /// Its lifetime with the quote, or nothing.
    pub lifetime: Option<TokenStream>,
    pub fields: Vec<Field>,
}

/// A field of a struct.
pub struct Field {
    pub attributes: Vec<Attribute>,
    pub name: Ident,
    pub typ: TokenStream,
}

impl Field {
    /// The options of the field's attributes of a name.
    pub fn options(&self, attribute: &str) -> Parsed<Vec<Choice>> {
        let mut list = Vec::new();
        for a in self.attributes.iter().filter(|a| a.name == attribute) {
            list.extend(a.options()?);
        }
        Ok(list)
    }

    pub fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|a| a.name == attribute)
    }

    /// The field's name without the mark of a keyword.
    pub fn plain_name(&self) -> String {
        self.name.to_string().trim_start_matches("r#").to_string()
    }
}

impl Struct {
    pub fn parse(tokens: TokenStream) -> Parsed<Struct> {
        let mut r = Reader::new(tokens);
        r.attributes()?;
        r.visibility();
        if !r.word("struct") {
            return Err(r.problem("this is for a struct"));
        }
        let name = r.ident("a name")?;
        let lifetime = Self::lifetime(&mut r)?;
        let body = r.group(Delimiter::Brace, "a struct of named fields")?;
        let mut fields = Vec::new();
        let mut inner = Reader::new(body.stream());
        while !inner.is_empty() {
            let attributes = inner.attributes()?;
            inner.visibility();
            let name = inner.ident("the name of a field")?;
            if !inner.punct(':') {
                return Err(inner.problem("a colon is expected"));
            }
            fields.push(Field { attributes, name, typ: inner.until(',') });
        }
        Ok(Struct { name, lifetime, fields })
    }

    fn lifetime(r: &mut Reader) -> Parsed<Option<TokenStream>> {
        if !r.punct('<') {
            return Ok(None);
        }
        if !r.is_punct('\'') {
            return Err(r.problem("only a lifetime can be a parameter here"));
        }
        let lifetime: TokenStream = r.next().into_iter().chain(r.next()).collect();
        if !r.punct('>') {
            return Err(r.problem("one lifetime is all that can be a parameter here"));
        }
        Ok(Some(lifetime))
    }
}

/// Code with places for tokens of the source: `__0`, `__1` and so on stand for the arguments.
pub fn code(text: &str, arguments: &[TokenStream]) -> TokenStream {
    let tokens: TokenStream = text.parse().unwrap_or_else(|e| panic!("the macro's own code: {e}\n{text}"));
    fill(tokens, arguments)
}

fn fill(tokens: TokenStream, arguments: &[TokenStream]) -> TokenStream {
    let mut out = TokenStream::new();
    for token in tokens {
        match token {
            TokenTree::Group(g) => {
                let mut filled = Group::new(g.delimiter(), fill(g.stream(), arguments));
                filled.set_span(g.span());
                out.extend([TokenTree::Group(filled)]);
            }
            TokenTree::Ident(i) => {
                let place = i.to_string().strip_prefix("__").and_then(|n| n.parse::<usize>().ok());
                match place.and_then(|n| arguments.get(n)) {
                    Some(tokens) => out.extend(tokens.clone()),
                    None => out.extend([TokenTree::Ident(i)]),
                }
            }
            other => out.extend([other]),
        }
    }
    out
}

/// The tokens of an identifier.
pub fn tokens(i: &Ident) -> TokenStream {
    TokenTree::Ident(i.clone()).into()
}

/// The type with every lifetime made `'static`.
pub fn with_static(typ: TokenStream) -> TokenStream {
    let mut out = Vec::new();
    let mut r = Reader::new(typ);
    while let Some(token) = r.next() {
        match token {
            TokenTree::Punct(p) if p.as_char() == '\'' => {
                let name = r.next().map_or_else(Span::call_site, |t| t.span());
                out.extend([TokenTree::Punct(p), TokenTree::Ident(Ident::new("static", name))]);
            }
            TokenTree::Punct(p) if p.as_char() == '&' => {
                out.push(TokenTree::Punct(p));
                if !r.is_punct('\'') {
                    out.extend(code("'static", &[]));
                }
            }
            TokenTree::Group(g) => out.push(TokenTree::Group(Group::new(g.delimiter(), with_static(g.stream())))),
            other => out.push(other),
        }
    }
    out.into_iter().collect()
}

/// DepDelay becomes dep_delay.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let chars: Vec<char> = name.chars().collect();
    for (i, c) in chars.iter().enumerate() {
        let begins =
            i > 0 && c.is_uppercase() && (!chars[i - 1].is_uppercase() || chars.get(i + 1).is_some_and(|n| n.is_lowercase()));
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        out.extend(c.to_lowercase());
    }
    out
}
