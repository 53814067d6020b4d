//! Types are read over: Luau's own tools say whether they fit.

use super::grammar::Reader;
use super::words::Word;

impl Reader<'_> {
    /// `type NAME = …`, perhaps exported.
    pub(super) fn type_declaration(&mut self) -> Option<()> {
        self.take("export");
        self.expect("type")?;
        // `type function` runs where there are other names.
        self.name()?;
        if self.is("<") {
            self.type_arguments()?;
        }
        self.expect("=")?;
        self.type_of()
    }

    /// Goes past a type.
    pub(super) fn type_of(&mut self) -> Option<()> {
        loop {
            while self.take("|") || self.take("&") {}
            if self.is("<") {
                self.type_arguments()?;
            }
            self.take("...");
            match self.word()? {
                Word::Sign("(") => self.brackets("(", ")")?,
                Word::Sign("{") => self.brackets("{", "}")?,
                Word::Text(_) | Word::Name("nil" | "true" | "false") => self.advance(),
                Word::Name(_) => self.type_name()?,
                _ => return None,
            }
            while self.take("?") {}
            if !self.take("->") && !self.is("|") && !self.is("&") {
                return Some(());
            }
        }
    }

    fn type_name(&mut self) -> Option<()> {
        let is_asked = self.name()? == "typeof";
        while self.take(".") {
            self.name()?;
        }
        if is_asked && self.is("(") {
            self.brackets("(", ")")?;
        }
        if self.is("<") {
            self.type_arguments()?;
        }
        self.take("...");
        Some(())
    }

    /// What is between angle brackets, and these.
    pub(super) fn type_arguments(&mut self) -> Option<()> {
        self.brackets("<", ">")
    }

    /// Goes past a bracket and all that is inside.
    pub(super) fn brackets(&mut self, open: &str, close: &str) -> Option<()> {
        let mut depth = 0;
        loop {
            self.word()?;
            if self.is(open) {
                depth += 1;
            } else if self.is(close) {
                depth -= 1;
            }
            self.advance();
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// `@NAME` or `@[…]` before a function.
    pub(super) fn attribute(&mut self) -> Option<()> {
        self.expect("@")?;
        if self.is("[") {
            return self.brackets("[", "]");
        }
        self.name().map(drop)
    }
}
