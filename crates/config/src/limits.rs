//! How large a config, and what it expands to, may be.

/// Bounds on the work of one compilation. Each gives one clear error when it is passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the source in bytes.
    pub bytes: usize,
    /// Levels of nested lists and mappings.
    pub depth: usize,
    /// YAML nodes once aliases are expanded.
    pub nodes: usize,
    /// Levels of commands in commands and conditional steps in conditional steps.
    pub step_depth: usize,
    /// Levels of conditions in conditions, and of parentheses in expressions.
    pub condition_depth: usize,
    /// Bytes and nodes that parameters, commands and jobs expand to, over all workflows.
    pub expansion: usize,
    /// Jobs of all workflows together.
    pub jobs: usize,
    /// Tasks of one job.
    pub parallelism: u32,
    /// Diagnostics that are kept.
    pub diagnostics: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            depth: 100,
            nodes: 1_000_000,
            step_depth: 50,
            condition_depth: 100,
            expansion: 64 * 1024 * 1024,
            jobs: 5_000,
            parallelism: 1_000,
            diagnostics: 100,
        }
    }
}
