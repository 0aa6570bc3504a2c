//! Which keys there are, what may stand behind them, and what becomes of them: the one table of the
//! language. The diagnostics, the JSON schema (`outrider config schema`) and the tables in
//! `docs/config.md` (`cargo xtask docs`) come from it.

use super::place::Shape::{
    Any, Boolean, Choice, Condition, Integer, Keys, List, Named, OneOf, Open, Scalar, Single,
    Steps, Text,
};
use super::place::Support::{Differs, Inert, NoEffect, Refused, Works};
use super::place::{Key, Place, Shape};

/// One line for each key: its name, what may stand behind it, what becomes of it, what it is for.
macro_rules! place {
    ($(#[$doc:meta])* $place:ident = $name:literal; $($keys:tt)*) => {
        place! { $(#[$doc])* $place = $name, false; $($keys)* }
    };
    ($(#[$doc:meta])* $place:ident = $name:literal, ignores unknown keys; $($keys:tt)*) => {
        place! { $(#[$doc])* $place = $name, true; $($keys)* }
    };
    ($(#[$doc:meta])* $place:ident = $name:literal, $ignores:literal; $($key:literal: $shape:expr, $support:expr, $about:literal;)*) => {
        $(#[$doc])*
        pub(crate) static $place: Place = Place {
            name: $name,
            ignores_unknown: $ignores,
            keys: &[$(Key { name: $key, shape: $shape, support: $support, about: $about }),*],
        };
    };
}

/// Variables by name, or a list of them and of `NAME=value`.
const ENVIRONMENT: Shape = OneOf(&[Named(&Scalar), List(&OneOf(&[Text, Named(&Scalar)]))]);
const PARAMETERS: Shape = Named(&Keys(&PARAMETER));
const TEXTS: Shape = OneOf(&[Text, List(&Text)]);
const DOCKER: Shape = List(&Keys(&DOCKER_IMAGE));
const MACHINE_SHAPE: Shape = OneOf(&[Boolean, Text, Keys(&MACHINE)]);
const WHEN: Shape = Choice(&["on_success", "on_fail", "always"]);

place! { TOP = "the config", ignores unknown keys;
    "version": Choice(&["2", "2.0", "2.1"]), Works, "the version of the language";
    "setup": Boolean, Works, "whether a job of this config continues the pipeline with another config";
    "parameters": PARAMETERS, Works, "what a pipeline can be given when it is triggered";
    "orbs": Named(&OneOf(&[Text, Keys(&ORB)])), Works, "orbs by the name that this config gives them";
    "commands": Named(&Keys(&COMMAND)), Works, "steps under a name";
    "executors": Named(&Keys(&EXECUTOR)), Works, "what jobs run in, under a name";
    "jobs": Named(&Keys(&JOB)), Works, "the jobs that workflows use";
    "job-groups": Named(&Keys(&GROUP)), Works, "jobs that workflows use together";
    "workflows": Named(&OneOf(&[Text, Keys(&WORKFLOW)])), Works, "which jobs run, and in which order";
    "description": Text, Inert, "what this is";
    "display": Any, Inert, "where people find more";
    "examples": Any, Inert, "how an orb is used";
    "notify": Any, NoEffect, "whom an old version of CircleCI told about results";
    "experimental": Any, NoEffect, "settings of the cloud's notifications";
}

place! { ORB = "an orb in the config", ignores unknown keys;
    "orbs": Named(&OneOf(&[Text, Keys(&ORB)])), Works, "orbs that this one uses";
    "commands": Named(&Keys(&COMMAND)), Works, "its commands";
    "executors": Named(&Keys(&EXECUTOR)), Works, "its executors";
    "jobs": Named(&Keys(&JOB)), Works, "its jobs";
    "version": Text, Inert, "the version of the language";
    "description": Text, Inert, "what this is";
    "display": Any, Inert, "where people find more";
    "examples": Any, Inert, "how it is used";
}

place! { PARAMETER = "a parameter";
    "type": Choice(&["string", "boolean", "integer", "enum", "executor", "steps", "env_var_name"]), Works, "what values it takes";
    "default": Any, Works, "its value where none is given";
    "enum": List(&Text), Works, "the values that an `enum` takes";
    "description": Text, Inert, "what it is for";
}

place! { COMMAND = "a command";
    "parameters": PARAMETERS, Works, "what it can be given";
    "steps": Steps, Works, "what it does";
    "description": Text, Inert, "what this is";
}

place! { EXECUTOR = "an executor";
    "parameters": PARAMETERS, Works, "what it can be given";
    "docker": DOCKER, Works, "images, the one in which steps run first";
    "machine": MACHINE_SHAPE, Works, "a whole machine";
    "macos": Keys(&MACOS), Works, "a Mac";
    "resource_class": Text, Works, "on which runners jobs run";
    "shell": Text, Works, "the shell of steps that name none";
    "working_directory": Text, Works, "where steps start";
    "environment": ENVIRONMENT, Works, "variables of all steps";
    "description": Text, Inert, "what this is";
}

place! { JOB = "a job";
    "type": Choice(&["build", "approval", "no-op", "release", "lock", "unlock"]), Works, "what kind of job it is";
    "parameters": PARAMETERS, Works, "what a workflow can give it";
    "executor": OneOf(&[Text, Open(&EXECUTOR_REFERENCE)]), Works, "one of `executors`, by name";
    "docker": DOCKER, Works, "images, the one in which steps run first";
    "machine": MACHINE_SHAPE, Works, "a whole machine";
    "macos": Keys(&MACOS), Works, "a Mac";
    "steps": Steps, Works, "what it does";
    "shell": Text, Works, "the shell of steps that name none";
    "working_directory": Text, Works, "where `checkout` puts the code and steps start";
    "environment": ENVIRONMENT, Works, "variables of all steps";
    "parallelism": Integer(1, 1_000), Works, "how many tasks it is";
    "resource_class": Text, Differs("a name with a slash is a class of runners; a size of CircleCI's cloud such as `medium` is the server's default class"), "on which runners it runs";
    "branches": Keys(&RULE), Differs("it is the filter of a config without workflows; with workflows it has no effect, and a warning says so"), "on which branches it runs";
    "retention": Keys(&RETENTION), Works, "how long its caches are kept";
    "circleci_ip_ranges": Boolean, NoEffect, "whether it has one of the cloud's known addresses";
    "plan_name": Text, Differs("CircleCI's service follows the release: here the job fails and says so"), "the release that a job of type `release` follows";
    "validation": Any, NoEffect, "when a release is good";
    "key": Text, Works, "the lock of a job of type `lock` or `unlock`";
    "description": Text, Inert, "what this is";
}

place! { EXECUTOR_REFERENCE = "a use of an executor";
    "name": Text, Works, "which one; other keys are its parameters";
}

place! { RETENTION = "`retention`";
    "caches": Text, Works, "for how many days caches are kept: `1d` to `30d`";
}

place! { MACHINE = "`machine`", ignores unknown keys;
    "enabled": Boolean, Works, "true";
    "image": Text, Differs("it is kept and shown; the process executor runs on the host as it is"), "the image of the machine";
    "resource_class": Text, Works, "as in the job";
    "shell": Text, Works, "as in the job";
    "docker_layer_caching": OneOf(&[Boolean, Text]), NoEffect, "whether layers of images are kept";
}

place! { MACOS = "`macos`", ignores unknown keys;
    "xcode": Text, Works, "the version of Xcode";
    "code_signing": Any, NoEffect, "signing with what CircleCI keeps";
}

place! { DOCKER_IMAGE = "an image of `docker`", ignores unknown keys;
    "image": Text, Works, "which one";
    "name": Text, Works, "the host name by which the others reach it";
    "entrypoint": TEXTS, Works, "replaces that of the image";
    "command": TEXTS, Works, "replaces that of the image";
    "user": Text, Works, "as whom it runs";
    "environment": ENVIRONMENT, Works, "variables in its container";
    "auth": Keys(&AUTH), Works, "how to log in where it comes from";
    "aws_auth": Keys(&AWS_AUTH), Differs("an image that has to be pulled with it is refused when the job starts: use `auth` with what `aws ecr get-login-password` prints, or `docker login` on the runner's host"), "how to log in at AWS";
    "gcp_auth": Keys(&GCP_AUTH), Differs("an image that has to be pulled with it is refused when the job starts: use `auth` with the key of a service account, or `docker login` on the runner's host"), "how to log in at Google Cloud";
}

place! { AUTH = "`auth`", ignores unknown keys;
    "username": Text, Works, "the user";
    "password": Text, Works, "the password: a variable such as `$PASSWORD`";
}

place! { AWS_AUTH = "`aws_auth`", ignores unknown keys;
    "aws_access_key_id": Text, Works, "the key's id";
    "aws_secret_access_key": Text, Works, "the key: a variable such as `$SECRET`";
    "oidc_role_arn": Text, Works, "a role that CircleCI's tokens may take";
}

place! { GCP_AUTH = "`gcp_auth`";
    "workload_identity_provider": Text, Works, "who vouches for the job";
    "service_account": Text, Works, "as whom it logs in";
}

place! {
    /// Steps that are built into the language.
    STEPS = "a step";
    "run": OneOf(&[Text, Keys(&RUN)]), Works, "runs a command in a shell";
    "checkout": OneOf(&[Scalar, Keys(&CHECKOUT)]), Works, "puts the code into the working directory";
    "when": Keys(&CONDITIONAL), Works, "steps that run if a condition holds";
    "unless": Keys(&CONDITIONAL), Works, "steps that run if a condition does not hold";
    "steps": OneOf(&[Text, Steps]), Works, "a parameter of type `steps`";
    "setup_remote_docker": OneOf(&[Scalar, Keys(&SETUP_REMOTE_DOCKER)]), Differs("the Engine of the runner is used, where its owner allows it"), "a Docker engine for a job in a container";
    "save_cache": Keys(&SAVE_CACHE), Works, "keeps files for later pipelines";
    "restore_cache": Keys(&RESTORE_CACHE), Works, "brings back files that were kept";
    "store_artifacts": Keys(&STORE_ARTIFACTS), Works, "keeps files for people";
    "store_test_results": Keys(&STORE_TEST_RESULTS), Works, "reads what tests reported";
    "persist_to_workspace": Keys(&PERSIST_TO_WORKSPACE), Works, "hands files to later jobs";
    "attach_workspace": Keys(&ATTACH_WORKSPACE), Works, "takes the files of earlier jobs";
    "add_ssh_keys": OneOf(&[Scalar, Keys(&ADD_SSH_KEYS)]), Differs("an `ssh-agent` holds them; where the project has none, the keys of the runner's own user are used"), "makes keys known to SSH";
    "install_signing_bundle": Any, Refused("CircleCI keeps these certificates, and gives them to nobody else: install your own in a `run` step"), "installs certificates to sign with";
    "deploy": Any, Differs("it runs in every task of a job with `parallelism`"), "an old form of `run`";
}

place! { RUN = "`run`", ignores unknown keys;
    "command": Text, Works, "the script";
    "name": Text, Works, "what people see";
    "shell": Text, Works, "the shell, where it differs from the job's";
    "environment": ENVIRONMENT, Works, "variables of this step";
    "background": Boolean, Works, "whether the job goes on while it runs";
    "working_directory": Text, Works, "where it starts";
    "no_output_timeout": Text, Works, "how long it may write nothing: `20m`";
    "when": WHEN, Works, "whether it runs after a failure";
    "max_auto_reruns": Integer(1, 5), Works, "how often it is run again when it fails";
    "auto_rerun_delay": Text, Works, "the pause before that: `30s`, 10 minutes at most";
}

place! { CHECKOUT = "`checkout`", ignores unknown keys;
    "path": Text, Works, "where to put the code";
    "method": Choice(&["blobless", "full", "shallow"]), Works, "how much of the history comes along";
    "depth": Integer(1, 1_000_000), Works, "how many commits `shallow` takes";
    "name": Text, Works, "what people see";
}

place! { SETUP_REMOTE_DOCKER = "`setup_remote_docker`", ignores unknown keys;
    "version": Text, Works, "the version of the engine";
    "docker_layer_caching": OneOf(&[Boolean, Text]), NoEffect, "whether layers of images are kept";
    "prefer_same_region": Boolean, NoEffect, "where in the cloud the engine runs";
    "reusable": Boolean, NoEffect, "whether later jobs get the same engine";
    "exclusive": Boolean, NoEffect, "whether no other job gets the engine";
    "name": Text, Works, "what people see";
}

place! { SAVE_CACHE = "`save_cache`", ignores unknown keys;
    "key": Text, Works, "under which key";
    "paths": List(&Text), Works, "what";
    "when": WHEN, Works, "whether it runs after a failure";
    "name": Text, Works, "what people see";
}

place! { RESTORE_CACHE = "`restore_cache`", ignores unknown keys;
    "key": Text, Works, "a key, or the start of one";
    "keys": List(&Text), Works, "several, in the order in which they are tried";
    "name": Text, Works, "what people see";
}

place! { STORE_ARTIFACTS = "`store_artifacts`", ignores unknown keys;
    "path": Text, Works, "what";
    "destination": Text, Works, "under which path";
    "name": Text, Works, "what people see";
}

place! { STORE_TEST_RESULTS = "`store_test_results`", ignores unknown keys;
    "path": Text, Works, "where the reports are";
    "name": Text, Works, "what people see";
}

place! { PERSIST_TO_WORKSPACE = "`persist_to_workspace`", ignores unknown keys;
    "root": Text, Works, "what the paths are relative to";
    "paths": List(&Text), Works, "what, as patterns";
    "name": Text, Works, "what people see";
}

place! { ATTACH_WORKSPACE = "`attach_workspace`", ignores unknown keys;
    "at": Text, Works, "where to put the files";
    "name": Text, Works, "what people see";
}

place! { ADD_SSH_KEYS = "`add_ssh_keys`", ignores unknown keys;
    "fingerprints": List(&Text), Works, "which keys; without it all of them";
    "name": Text, Works, "what people see";
}

place! { CONDITIONAL = "a conditional step", ignores unknown keys;
    "condition": Condition, Works, "when the steps run";
    "steps": Steps, Works, "the steps";
}

place! { LOGIC = "a condition";
    "and": List(&Condition), Works, "true if all are true";
    "or": List(&Condition), Works, "true if one is true";
    "not": Condition, Works, "true if this is false";
    "equal": List(&Any), Works, "true if all are the same";
    "matches": Keys(&MATCHES), Works, "true if a value fits a pattern";
}

place! { MATCHES = "`matches`";
    "pattern": Text, Works, "the pattern";
    "value": Scalar, Works, "the value";
}

place! { WORKFLOW = "a workflow";
    "jobs": List(&OneOf(&[Text, Single(&OneOf(&[Scalar, Open(&INVOCATION)]))])), Works, "its jobs";
    "when": Condition, Works, "it runs only if this holds";
    "unless": Condition, Works, "it runs only if this does not hold";
    "triggers": List(&Keys(&TRIGGER)), Differs("such a workflow runs only when it is asked for by its name"), "when it runs by itself";
    "max_auto_reruns": Integer(1, 5), Differs("each task that fails is run again at once, that often at most"), "how often its failed jobs are run again";
    "description": Text, Inert, "what this is";
}

place! {
    /// Keys of a job in a workflow; all others are the job's parameters.
    INVOCATION = "a job of a workflow";
    "name": Text, Works, "its name in this workflow";
    "requires": List(&OneOf(&[Text, Single(&TEXTS)])), Works, "the jobs that end before it starts, and how they may end";
    "pre-steps": Steps, Works, "steps before those of the job";
    "post-steps": Steps, Works, "steps after those of the job";
    "context": TEXTS, Works, "the contexts whose variables it gets";
    "type": Choice(&["approval", "no-op"]), Works, "what it is, where it is no job of `jobs`";
    "filters": OneOf(&[Scalar, Keys(&FILTERS)]), Works, "on which branches and tags it runs";
    "matrix": Keys(&MATRIX), Works, "runs it once for each combination of parameters";
    "serial-group": Text, Works, "the group in which one job runs at a time";
    "override-with": Text, Works, "a job of an orb that takes its place";
}

place! { FILTERS = "`filters`", ignores unknown keys;
    "branches": Keys(&RULE), Works, "on which branches";
    "tags": Keys(&RULE), Works, "on which tags; without it on none";
}

place! { RULE = "a filter";
    "only": TEXTS, Works, "names and `/patterns/` that fit";
    "ignore": TEXTS, Works, "names and `/patterns/` that do not fit";
}

place! { MATRIX = "`matrix`";
    "parameters": Named(&Any), Works, "the values of each parameter";
    "exclude": List(&Named(&Any)), Works, "combinations that are left out";
    "alias": Text, Works, "a name for all of them, in `requires`";
}

place! { TRIGGER = "a trigger";
    "schedule": Keys(&SCHEDULE), Works, "when";
}

place! { SCHEDULE = "`schedule`";
    "cron": Text, Works, "in five fields, in UTC";
    "filters": Keys(&SCHEDULE_FILTERS), Works, "on which branches";
}

place! { SCHEDULE_FILTERS = "`filters` of a schedule";
    "branches": Keys(&RULE), Works, "on which branches";
}

place! { GROUP = "a job group";
    "jobs": List(&OneOf(&[Text, Single(&OneOf(&[Scalar, Open(&INVOCATION)]))])), Works, "its jobs, as in a workflow";
    "description": Text, Inert, "what this is";
}

place! {
    /// Keys of a job group in a workflow.
    GROUP_USE = "a use of a job group";
    "name": Text, Works, "its name in this workflow, with which the names of its jobs start";
    "requires": List(&OneOf(&[Text, Single(&TEXTS)])), Works, "what ends before its first job starts";
    "filters": OneOf(&[Scalar, Keys(&FILTERS)]), Works, "on which branches and tags it runs";
    "serial-group": Text, Works, "the group in which all its jobs run as one";
}
