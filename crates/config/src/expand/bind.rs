//! Arguments meet the parameters they are for.

use super::substitute::{Scope, Values, substitute};
use crate::diagnostic::{code, error, is_near};
use crate::syntax::{Declarations, Reader};
use crate::yaml::{Entry, Mapping, Span};

/// The values of a definition's parameters for one use of it. What does not fit is reported and
/// stands as `None`, so that references to it are not reported again.
pub(super) fn bind(
    reader: Reader<'_>,
    what: &str,
    declared: &Declarations,
    arguments: &Mapping,
    used: Span,
) -> Values {
    for (name, Entry { key_span, .. }) in &arguments.entries {
        if !declared.contains_key(name) {
            report_unknown(reader, what, declared, name, *key_span);
        }
    }
    let nothing = Values::new();
    let mut values = Values::new();
    if !reader.cx.spend(16 * declared.len(), used) {
        return values;
    }
    for (name, declaration) in declared {
        let value = declaration.as_ref().and_then(|declaration| {
            let argument = arguments.entries.get(name);
            match (argument, &declaration.default) {
                (Some(Entry { value, .. }), _) => {
                    let what = format!("`{name}`");
                    reader.argument(value, &declaration.kind, &what, declaration.name_span)
                }
                (None, Some(default)) => {
                    Some(substitute(reader.cx, default, Scope::Parameters(&nothing)))
                }
                // Under a wrong name it is there, which has been reported.
                (None, None) if is_misspelt(name, declared, arguments) => None,
                (None, None) => {
                    report_missing(reader, what, name, used, declaration.name_span);
                    None
                }
            }
        });
        values.insert(name.clone(), value);
    }
    values
}

fn is_misspelt(name: &str, declared: &Declarations, arguments: &Mapping) -> bool {
    let given = arguments.entries.keys();
    let mut unknown = given.filter(|given| !declared.contains_key(*given));
    unknown.any(|given| is_near(given, name))
}

fn report_unknown(reader: Reader<'_>, what: &str, declared: &Declarations, name: &str, at: Span) {
    let names = || declared.keys().map(|name| &**name);
    let help = reader
        .cx
        .hint(name, names(), |all| match declared.is_empty() {
            true => format!("{what} has no parameters; declare it there or remove it here"),
            false => format!("its parameters are {all}"),
        });
    let message = format!("{what} has no parameter `{name}`");
    reader.report(error(code::UNKNOWN_ARGUMENT, at, message).maybe_help(help));
}

fn report_missing(reader: Reader<'_>, what: &str, name: &str, used: Span, declared: Span) {
    reader.report(
        error(
            code::MISSING_ARGUMENT,
            used,
            format!("{what} needs the parameter `{name}`"),
        )
        .label(declared, "declared here, without a default")
        .help(format!(
            "add `{name}:` with a value here, or give it a `default`"
        )),
    );
}
