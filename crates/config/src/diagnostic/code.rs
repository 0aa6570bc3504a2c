//! The stable names of what can be wrong with a config.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// Every code, in alphabetical order of topics.
        pub const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// The file is larger than the limit.
    CONFIG_TOO_LARGE = "config-too-large";
    /// The file holds nothing.
    CONFIG_EMPTY = "config-empty";
    /// The file is not YAML.
    SYNTAX = "yaml-syntax";
    /// The file holds several YAML documents.
    SEVERAL_DOCUMENTS = "several-documents";
    /// A mapping has the same key twice.
    DUPLICATE_KEY = "duplicate-key";
    /// A key is a list or a mapping.
    COMPLEX_KEY = "complex-key";
    /// `<<:` is given something that is no mapping.
    BAD_MERGE = "bad-merge";
    /// An anchor holds an alias of itself.
    RECURSIVE_ALIAS = "recursive-alias";
    /// Aliases expand to more than the limit.
    TOO_MANY_NODES = "too-many-nodes";
    /// Something is nested deeper than the limit.
    TOO_DEEP = "too-deep";
    /// Parameters and commands expand to more than the limit.
    EXPANSION_TOO_LARGE = "expansion-too-large";
    /// There are more jobs than the limit.
    TOO_MANY_JOBS = "too-many-jobs";

    /// A value has the wrong type.
    WRONG_TYPE = "wrong-type";
    /// A value has the right type but is not one of those allowed.
    BAD_VALUE = "bad-value";
    /// A key that does not exist.
    UNKNOWN_KEY = "unknown-key";
    /// A key that must be there is not.
    MISSING_KEY = "missing-key";
    /// Two keys that exclude each other.
    CONFLICTING_KEYS = "conflicting-keys";
    /// A part of the language that Outrider does not do.
    NOT_SUPPORTED = "not-supported";
    /// A key that has no effect on one's own runners.
    NO_EFFECT = "no-effect";
    /// A secret that everybody can read.
    SECRET_IN_CONFIG = "secret-in-config";
    /// `version` is not 2, 2.0 or 2.1.
    BAD_VERSION = "bad-version";
    /// A key that needs `version: 2.1`.
    NEEDS_VERSION_2_1 = "needs-version-2-1";

    /// The class of a job is not a class name.
    BAD_CLASS = "bad-resource-class";
    /// A duration cannot be read.
    BAD_DURATION = "bad-duration";
    /// A regular expression cannot be read, or takes too long.
    BAD_PATTERN = "bad-pattern";
    /// An expression cannot be read.
    BAD_EXPRESSION = "bad-expression";
    /// The name of an environment variable cannot be one.
    BAD_ENVIRONMENT_NAME = "bad-environment-name";
    /// The name of a parameter cannot be one.
    BAD_PARAMETER_NAME = "bad-parameter-name";
    /// The value of a parameter has not the declared type.
    BAD_ARGUMENT = "bad-argument";
    /// A required parameter is not given.
    MISSING_ARGUMENT = "missing-argument";
    /// An argument for a parameter that is not declared.
    UNKNOWN_ARGUMENT = "unknown-argument";
    /// A reference to a parameter that is not declared.
    UNDEFINED_PARAMETER = "undefined-parameter";
    /// A reference `<< … >>` to something that does not exist.
    UNKNOWN_REFERENCE = "unknown-reference";
    /// `<<` that opens no reference.
    UNESCAPED_HEREDOC = "unescaped-heredoc";

    /// A step that is neither built in nor a command.
    UNKNOWN_COMMAND = "unknown-command";
    /// Commands that call each other in a circle.
    RECURSIVE_COMMAND = "recursive-command";
    /// An executor that is not there.
    UNKNOWN_EXECUTOR = "unknown-executor";
    /// A text that names no orb.
    BAD_ORB = "bad-orb";
    /// An orb that nobody has given.
    ORB_NOT_AT_HAND = "orb-not-at-hand";
    /// An alias that is not in `orbs`.
    UNKNOWN_ORB = "unknown-orb";
    /// A job that does not say in what it runs.
    NO_EXECUTOR = "no-executor";
    /// A job that is not there.
    UNKNOWN_JOB = "unknown-job";
    /// A workflow that is not there.
    UNKNOWN_WORKFLOW = "unknown-workflow";
    /// Two jobs of a workflow have one name.
    DUPLICATE_JOB = "duplicate-job";
    /// A name in `requires` that stands for several jobs.
    AMBIGUOUS_REQUIREMENT = "ambiguous-requirement";
    /// The same job twice in one `requires`.
    DUPLICATE_REQUIREMENT = "duplicate-requirement";
    /// A matrix without a combination, or with an exclusion that excludes nothing.
    BAD_MATRIX = "bad-matrix";
    /// The five fields of a schedule cannot be read.
    BAD_CRON = "bad-cron";
    /// Jobs that wait for each other in a circle.
    REQUIRES_CYCLE = "requires-cycle";
    /// The config says nothing about what to run.
    NOTHING_TO_RUN = "nothing-to-run";
}
