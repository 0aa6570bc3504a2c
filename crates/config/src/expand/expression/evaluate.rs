//! What a tree gives.

use std::cmp::Ordering;
use std::ops::Range;

use super::lexer::Operator;
use super::parser::{Comparison, Tree, With};
use super::value::Value;
use crate::regex::Regex;

/// Why there is no value.
pub(super) enum Failure {
    /// It has been said before.
    Reported,
    /// An operator was given something that it does not take.
    Type {
        range: Range<usize>,
        message: String,
    },
}

/// What tries a regular expression on a text.
pub(super) type Matcher<'a> = dyn Fn(&Regex, &str) -> Option<bool> + 'a;

pub(super) fn evaluate(tree: &Tree, matcher: &Matcher<'_>) -> Result<Value, Failure> {
    match tree {
        Tree::Value(value) => value.clone().ok_or(Failure::Reported),
        Tree::Not(operand) => Ok(Value::Boolean(!evaluate(operand, matcher)?.holds())),
        Tree::And(all) => first(all, matcher, |value| !value.holds()),
        Tree::Or(all) => first(all, matcher, Value::holds),
        Tree::Compare(left, rest) => {
            let mut value = evaluate(left, matcher)?;
            for comparison in rest {
                value = Value::Boolean(compare(&value, comparison, matcher)?);
            }
            Ok(value)
        }
    }
}

/// The first operand that decides, or the last one. Those behind it are not looked at.
fn first(
    all: &[Tree],
    matcher: &Matcher<'_>,
    decides: impl Fn(&Value) -> bool,
) -> Result<Value, Failure> {
    let mut value = Value::Null;
    for operand in all {
        value = evaluate(operand, matcher)?;
        if decides(&value) {
            break;
        }
    }
    Ok(value)
}

fn compare(left: &Value, it: &Comparison, matcher: &Matcher<'_>) -> Result<bool, Failure> {
    let (operator, right) = match &it.with {
        With::Value(operator, right) => (*operator, evaluate(right, matcher)?),
        With::Regex(regex) => {
            let regex = regex.as_ref().ok_or(Failure::Reported)?;
            let text = text(left, "matches", &it.range)?;
            return matcher(regex, text).ok_or(Failure::Reported);
        }
    };
    let order = |sign| {
        let (a, b) = (
            number(left, sign, &it.range)?,
            number(&right, sign, &it.range)?,
        );
        Ok(a.partial_cmp(&b))
    };
    Ok(match operator {
        Operator::Equal => left.equals(&right),
        Operator::NotEqual => !left.equals(&right),
        Operator::Less => order("<")? == Some(Ordering::Less),
        Operator::More => order(">")? == Some(Ordering::Greater),
        Operator::LessOrEqual => order("<=")?.is_some_and(Ordering::is_le),
        Operator::MoreOrEqual => order(">=")?.is_some_and(Ordering::is_ge),
        Operator::StartsWith => {
            let prefix = text(&right, "starts-with", &it.range)?;
            text(left, "starts-with", &it.range)?.starts_with(prefix)
        }
    })
}

fn number(value: &Value, sign: &str, range: &Range<usize>) -> Result<f64, Failure> {
    value.number().ok_or_else(|| Failure::Type {
        range: range.clone(),
        message: format!("`{sign}` compares numbers, not {}", value.kind()),
    })
}

fn text<'v>(value: &'v Value, word: &str, range: &Range<usize>) -> Result<&'v str, Failure> {
    // What a pipeline does not have is an empty text.
    if *value == Value::Null {
        return Ok("");
    }
    value.text().ok_or_else(|| Failure::Type {
        range: range.clone(),
        message: format!("`{word}` is for texts, not for {}", value.kind()),
    })
}
