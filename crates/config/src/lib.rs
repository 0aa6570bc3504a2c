//! Compiles CircleCI's config language into an Outrider [`Plan`].
//!
//! A config goes through three rooms: `yaml` makes it a tree that knows where everything stands,
//! `syntax` says what keys there are and what they mean, `expand` resolves parameters, commands and
//! executors and lays out workflows. All of them report what is wrong to one place, so that one
//! compilation finds everything.
//!
//! [`compile`] is pure: it reads nothing but its arguments, gives the same for the same, and its
//! work is bounded by [`Limits`] whatever the input.

mod context;
pub mod diagnostic;
mod expand;
pub mod expanded;
mod limits;
mod options;
mod orbs;
mod pattern;
mod source;
mod syntax;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use limits::Limits;
pub use options::{Options, ParameterValue, PipelineValues};
pub use orbs::{InvalidOrbReference, Orb, OrbReference, OrbVersion, Orbs};
pub use pattern::Pattern;
pub use source::SourceFile;

use context::Context;
use diagnostic::{Sink, code, error};
use outrider_model::plan::Plan;
use yaml::Span;

/// A config that can run.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What to run. Never empty.
    pub plan: Plan,
    /// What its author should know.
    pub warnings: Diagnostics,
}

/// Compiles a config.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the source; warnings are among it.
pub fn compile(source: &SourceFile, options: &Options) -> Result<Compiled, Diagnostics> {
    let limits = &options.limits;
    if source.text.len() > limits.bytes.min(u32::MAX as usize) {
        return Err(too_large(source.text.len(), limits));
    }
    let cx = Context::new(
        &source.text,
        options,
        Sink::new(&source.text, limits.diagnostics),
    );
    let document = cx.parse();
    let plan = document.and_then(|document| expand::plan(&cx, &document));
    let failed = cx.errors() > 0;
    let diagnostics = cx.into_sink().finish();
    match plan {
        Some(plan) if !failed => Ok(Compiled {
            plan,
            warnings: diagnostics,
        }),
        _ => Err(diagnostics),
    }
}

fn too_large(bytes: usize, limits: &Limits) -> Diagnostics {
    let sink = Sink::new("", 2);
    let message = format!(
        "the config has {bytes} bytes, more than the limit of {}",
        limits.bytes
    );
    sink.push(
        error(code::CONFIG_TOO_LARGE, Span::default(), message)
            .help("is this the right file? if it is, split it, or raise the limit"),
    );
    sink.finish()
}
