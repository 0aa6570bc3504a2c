//! Makes a tree of tokens. `or` binds loosest, then `and`, then comparisons, then `not`.
//!
//! Chains are kept flat, so that only parentheses and `not` nest, and those are counted.

use std::ops::Range;

use super::Fault;
use super::lexer::{Kind, Operator, Token};
use super::value::Value;
use crate::regex::Regex;

/// An expression whose names are resolved.
#[derive(Debug)]
pub(super) enum Tree {
    /// `None` if a name stands for nothing that is known.
    Value(Option<Value>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Compare(Box<Tree>, Vec<Comparison>),
}

/// The rest of a comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    /// Where the operator stands.
    pub(super) range: Range<usize>,
    pub(super) with: With,
}

#[derive(Debug)]
pub(super) enum With {
    Value(Operator, Tree),
    /// `None` if it cannot be read.
    Regex(Option<Regex>),
}

/// What names and regular expressions stand for.
pub(super) trait Resolve {
    fn name(&self, name: &str, at: Range<usize>) -> Option<Value>;
    fn regex(&self, text: &str, at: Range<usize>) -> Option<Regex>;
}

pub(super) struct Parser<'a, R> {
    pub(super) tokens: &'a [Token<'a>],
    pub(super) at: usize,
    /// Where the expression ends, for what is missing there.
    pub(super) end: usize,
    /// How many levels are left.
    pub(super) levels: usize,
    pub(super) resolve: &'a R,
}

impl<'a, R: Resolve> Parser<'a, R> {
    /// All tokens as one expression.
    pub(super) fn whole(&mut self) -> Result<Tree, Fault> {
        let tree = self.or()?;
        match self.peek() {
            None => Ok(tree),
            Some(token) => Err(Fault::new(
                token.range.clone(),
                "the expression should end before this",
                "join two conditions with `and` or `or`, and put texts in quotes",
            )),
        }
    }

    fn peek(&self) -> Option<&'a Token<'a>> {
        self.tokens.get(self.at)
    }

    /// Whether the next token is this one, which is then taken.
    fn take(&mut self, wanted: impl Fn(&Kind<'a>) -> bool) -> bool {
        let found = self.peek().is_some_and(|token| wanted(&token.kind));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Tree, Fault> {
        let mut all = vec![self.and()?];
        while self.take(|kind| matches!(kind, Kind::Or)) {
            all.push(self.and()?);
        }
        Ok(one_or(all, Tree::Or))
    }

    fn and(&mut self) -> Result<Tree, Fault> {
        let mut all = vec![self.comparison()?];
        while self.take(|kind| matches!(kind, Kind::And)) {
            all.push(self.comparison()?);
        }
        Ok(one_or(all, Tree::And))
    }

    fn comparison(&mut self) -> Result<Tree, Fault> {
        let left = self.unary()?;
        let mut rest = vec![];
        while let Some(Token { kind, range }) = self.peek() {
            let with = match kind {
                Kind::Operator(operator) => {
                    self.at += 1;
                    With::Value(*operator, self.unary()?)
                }
                Kind::Matches => {
                    self.at += 1;
                    With::Regex(self.pattern()?)
                }
                _ => break,
            };
            let range = range.clone();
            rest.push(Comparison { range, with });
        }
        Ok(match rest.is_empty() {
            true => left,
            false => Tree::Compare(Box::new(left), rest),
        })
    }

    /// What `matches` takes: a regular expression, with or without parentheses.
    fn pattern(&mut self) -> Result<Option<Regex>, Fault> {
        let open = self.take(|kind| matches!(kind, Kind::Open));
        let Some(Token {
            kind: Kind::Regex(text),
            range,
        }) = self.peek()
        else {
            let message = "`matches` takes a regular expression";
            return Err(self.unexpected(message, "write it in slashes: `matches /release-.*/`"));
        };
        self.at += 1;
        if open {
            self.close()?;
        }
        Ok(self.resolve.regex(text, range.clone()))
    }

    fn unary(&mut self) -> Result<Tree, Fault> {
        if self.take(|kind| matches!(kind, Kind::Not)) {
            return self.nested(|parser| Ok(Tree::Not(Box::new(parser.unary()?))));
        }
        if self.take(|kind| matches!(kind, Kind::Open)) {
            let tree = self.nested(Self::or)?;
            self.close()?;
            return Ok(tree);
        }
        let token = self.peek();
        let value = match token.map(|token| (&token.kind, &token.range)) {
            Some((Kind::Literal(value), _)) => Some(value.clone()),
            Some((Kind::Name(name), range)) => self.resolve.name(name, range.clone()),
            _ => {
                let help = "write `pipeline.…`, a text in quotes, a number, `true` or `false`";
                return Err(self.unexpected("a value is missing here", help));
            }
        };
        self.at += 1;
        Ok(Tree::Value(value))
    }

    fn nested(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<Tree, Fault>,
    ) -> Result<Tree, Fault> {
        let Some(levels) = self.levels.checked_sub(1) else {
            return Err(self.unexpected("the expression nests too deep", "make it simpler"));
        };
        self.levels = levels;
        let tree = body(self);
        self.levels += 1;
        tree
    }

    fn close(&mut self) -> Result<(), Fault> {
        match self.take(|kind| matches!(kind, Kind::Close)) {
            true => Ok(()),
            false => Err(self.unexpected("a `)` is missing here", "close what was opened")),
        }
    }

    /// A fault at the next token, or at the end.
    fn unexpected(&self, message: &str, help: &str) -> Fault {
        let range = self.peek().map(|token| token.range.clone());
        Fault::new(range.unwrap_or(self.end..self.end), message, help)
    }
}

fn one_or(mut all: Vec<Tree>, several: impl FnOnce(Vec<Tree>) -> Tree) -> Tree {
    match all.len() {
        1 => all.remove(0),
        _ => several(all),
    }
}
