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
mod sources;
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
use sources::Sources;
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
    let sources = Sources::new(source, &options.orbs);
    if source.text.len() > limits.bytes || sources.bytes() > u32::MAX as usize {
        return Err(too_large(&sources, limits));
    }
    let cx = Context::new(&sources, options);
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

/// The orbs that a config needs, itself or for one of its orbs, and that are not in
/// [`Options::orbs`], in the order of the source. Those that are found this way may need others:
/// ask again until there is none.
pub fn missing_orbs(source: &SourceFile, options: &Options) -> Vec<OrbReference> {
    let sources = Sources::new(source, &options.orbs);
    let cx = Context::new(&sources, options);
    if source.text.len() <= options.limits.bytes
        && let Some(document) = cx.parse()
    {
        expand::orbs(&cx, &document);
    }
    cx.into_missing_orbs().into_iter().collect()
}

fn too_large(sources: &Sources<'_>, limits: &Limits) -> Diagnostics {
    let sink = Sink::new(sources, 2);
    let bytes = sources.config().text.len();
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
