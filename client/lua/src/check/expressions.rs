//! Expressions, and what they are as far as that can be told.

use std::rc::Rc;

use super::grammar::{Reader, Target};
use super::meaning::{Meaning, Shape};
use super::words::Word;

const OPERATORS: &[&str] =
    &["+", "-", "*", "/", "//", "%", "^", "..", "==", "~=", "<", "<=", ">", ">=", "and", "or"];

/// An argument with its line.
pub(super) type Argument = (usize, Meaning);

impl<'a> Reader<'a> {
    pub(super) fn expressions(&mut self) -> Option<Vec<Argument>> {
        let mut all = Vec::new();
        loop {
            let line = self.line();
            all.push((line, self.expression()?));
            if !self.take(",") {
                break;
            }
        }
        // Only the last of them can be many.
        let last = all.len() - 1;
        let one = |(at, (line, value)): (usize, Argument)| match at == last {
            true => (line, value),
            false => (line, value.one()),
        };
        Some(all.into_iter().enumerate().map(one).collect())
    }

    pub(super) fn expression(&mut self) -> Option<Meaning> {
        let mut is_computed = false;
        loop {
            while self.take("not") || self.take("-") || self.take("#") {
                is_computed = true;
            }
            let value = self.simple()?;
            if self.take("::") {
                self.type_of()?;
            }
            if OPERATORS.iter().any(|operator| self.take(operator)) {
                is_computed = true;
                continue;
            }
            return Some(if is_computed { Meaning::Unknown } else { value });
        }
    }

    fn simple(&mut self) -> Option<Meaning> {
        let plain = match self.word()? {
            Word::Number => Meaning::Plain,
            Word::Text(text) => text.map_or(Meaning::Plain, |text| Meaning::Text(text.to_owned())),
            Word::Name("true" | "false") => Meaning::Plain,
            Word::Name("nil") => Meaning::Nil,
            Word::Sign("...") => Meaning::Many,
            Word::Sign("{") => return self.table(),
            Word::Sign("`") => return self.interpolated(),
            Word::Sign("@") => {
                self.attribute()?;
                return self.simple();
            }
            Word::Name("function") => {
                self.advance();
                self.body(None)?;
                return Some(Meaning::Plain);
            }
            Word::Name("if") => return self.choice(),
            _ => {
                let line = self.line();
                let target = self.suffixed()?;
                return Some(self.read_value(target, line));
            }
        };
        self.advance();
        Some(plain)
    }

    fn interpolated(&mut self) -> Option<Meaning> {
        self.expect("`")?;
        while self.take("{") {
            self.expression()?;
            self.expect("}")?;
        }
        self.expect("`")?;
        Some(Meaning::Plain)
    }

    /// `if … then … else …` that has a value.
    fn choice(&mut self) -> Option<Meaning> {
        self.expect("if")?;
        loop {
            self.expression()?;
            self.expect("then")?;
            self.expression()?;
            if !self.take("elseif") {
                break;
            }
        }
        self.expect("else")?;
        self.expression()?;
        Some(Meaning::Unknown)
    }

    fn table(&mut self) -> Option<Meaning> {
        self.expect("{")?;
        let mut shape = Shape::default();
        while !self.take("}") {
            let line = self.line();
            if self.take("[") {
                let key = self.expression()?;
                self.expect("]")?;
                self.expect("=")?;
                let value = self.expression()?.one();
                match key {
                    Meaning::Text(name) => shape.named.push((line, name, value)),
                    _ => shape.is_open = true,
                }
            } else if self.after(1) == Some(&Word::Sign("=")) {
                let name = self.name()?.to_owned();
                self.expect("=")?;
                let value = self.expression()?.one();
                shape.named.push((line, name, value));
            } else {
                let value = self.expression()?;
                shape.listed += 1;
                // A call that returns nothing adds nothing.
                shape.is_open |= matches!(value, Meaning::Many);
            }
            if !self.take(",") {
                self.take(";");
            }
        }
        Some(Meaning::Table(Rc::new(shape)))
    }

    /// A name or an expression in brackets, and what is made of it by dots, brackets and calls.
    pub(super) fn suffixed(&mut self) -> Option<Target<'a>> {
        let mut line = self.line();
        let mut target = if self.take("(") {
            let inside = self.expression()?.one();
            self.expect(")")?;
            Target::Value(inside)
        } else {
            Target::Name(self.name()?)
        };
        loop {
            let here = self.line();
            target = match self.word() {
                Some(Word::Sign(".")) => {
                    self.advance();
                    let base = self.read(target, line);
                    Target::Member(base, Meaning::Text(self.name()?.to_owned()))
                }
                Some(Word::Sign("[")) => {
                    self.advance();
                    let base = self.read(target, line);
                    let key = self.expression()?.one();
                    self.expect("]")?;
                    Target::Member(base, key)
                }
                Some(Word::Sign(":")) => {
                    self.advance();
                    let base = self.read(target, line);
                    let name = self.name()?;
                    self.type_instances()?;
                    self.arguments()?;
                    self.call_method(&base, name, here);
                    Target::Value(Meaning::Many)
                }
                Some(Word::Sign("<")) if self.after(1) == Some(&Word::Sign("<")) => {
                    self.type_instances()?;
                    target
                }
                Some(Word::Sign("(" | "{") | Word::Text(_)) => {
                    let called = self.read(target, line);
                    let arguments = self.arguments()?;
                    Target::Value(self.call(&called, &arguments, line))
                }
                _ => return Some(target),
            };
            line = here;
        }
    }

    /// `<<TYPE>>` between a function and its arguments.
    fn type_instances(&mut self) -> Option<()> {
        if self.is("<") { self.type_arguments() } else { Some(()) }
    }

    fn arguments(&mut self) -> Option<Vec<Argument>> {
        let line = self.line();
        match self.word()? {
            Word::Sign("(") => {
                self.advance();
                let all = if self.is(")") { Vec::new() } else { self.expressions()? };
                self.expect(")")?;
                Some(all)
            }
            Word::Sign("{") | Word::Text(_) => Some(vec![(line, self.simple()?)]),
            _ => None,
        }
    }
}
