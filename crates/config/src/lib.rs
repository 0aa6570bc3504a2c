//! Compiles CircleCI's config language into an Outrider [`Plan`].
//!
//! A config goes through three rooms: `yaml` makes it a tree that knows where everything stands,
//! `syntax` says what keys there are and what they mean, `expand` resolves parameters, commands and
//! executors and lays out workflows. All of them report what is wrong to one place, so that one
//! compilation finds everything. What comes out is [`Expanded`]; `choose` takes from it what runs
//! for a branch or a tag.
//!
//! [`compile`] is pure: it reads nothing but its arguments, gives the same for the same, and its
//! work is bounded by [`Limits`] whatever the input.

mod choose;
mod context;
pub mod diagnostic;
mod expand;
pub mod expanded;
mod limits;
mod options;
mod orbs;
mod pattern;
mod process;
pub mod reference;
mod regex;
mod source;
mod sources;
mod syntax;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use limits::Limits;
pub use options::{Options, ParameterValue, PipelineValues};
pub use orbs::{InvalidOrbReference, Orb, OrbReference, OrbVersion, Orbs};
pub use pattern::Pattern;
pub use process::{Unreadable, merge, process};
pub use regex::{Regex, TooHard};
pub use source::SourceFile;

use context::Context;
use diagnostic::{Sink, code, error};
use expanded::Expanded;
use outrider_model::plan::Plan;
use sources::Sources;
use yaml::Span;

/// A config that can run.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What to run. Empty only if [`Options::may_be_empty`].
    pub plan: Plan,
    /// What its author should know.
    pub warnings: Diagnostics,
}

/// A config that is right, whether or not something of it runs for a certain branch or tag.
#[derive(Clone, Debug)]
pub struct ExpandedConfig {
    /// All that it can run.
    pub expanded: Expanded,
    /// What its author should know.
    pub warnings: Diagnostics,
}

/// Compiles a config for the branch or tag that the options name.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the source; warnings are among it.
pub fn compile(source: &SourceFile, options: &Options) -> Result<Compiled, Diagnostics> {
    let (plan, warnings) = run(source, options, choose::choose)?;
    Ok(Compiled { plan, warnings })
}

/// Expands a config, for any branch and tag.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the source; warnings are among it.
pub fn expand(source: &SourceFile, options: &Options) -> Result<ExpandedConfig, Diagnostics> {
    let (expanded, warnings) = run(source, options, |_, expanded, _| Some(expanded))?;
    Ok(ExpandedConfig { expanded, warnings })
}

/// Expands a config and makes something of it, with what is wrong reported all the way. The span
/// is the place of `workflows`, for what is wrong with all of them together.
fn run<T>(
    source: &SourceFile,
    options: &Options,
    finish: impl FnOnce(&Context<'_>, Expanded, Span) -> Option<T>,
) -> Result<(T, Diagnostics), Diagnostics> {
    let limits = &options.limits;
    let sources = Sources::new(source, &options.orbs);
    if source.text.len() > limits.bytes || sources.bytes() > u32::MAX as usize {
        return Err(too_large(&sources, limits));
    }
    let cx = Context::new(&sources, options);
    let result = cx.parse().and_then(|document| {
        let expanded = expand::expand(&cx, &document)?;
        (cx.errors() == 0).then_some(())?;
        finish(&cx, expanded, document.key_span("workflows"))
    });
    let failed = cx.errors() > 0;
    let diagnostics = cx.into_sink().finish();
    match result {
        Some(result) if !failed => Ok((result, diagnostics)),
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
