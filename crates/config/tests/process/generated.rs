//! The expanded form of configs that nobody would write.

use std::time::Duration;

use super::support::options;
use indexmap::IndexMap;
use outrider_config::expanded::{Expanded, ExpandedJob, ExpandedWorkflow, Filters};
use outrider_config::{SourceFile, expand, process};
use outrider_model::Outcome;
use outrider_model::plan::{
    BuildPlan, CheckoutMethod, CheckoutStep, DockerImage, EnvironmentKind, JobKind, JobPlan,
    JobSpec, Requirement, RunStep, Step, When,
};
use proptest::collection::{hash_set, vec};
use proptest::option::of;
use proptest::prelude::*;

/// Any text that a config can hold where it must not be empty.
fn text() -> impl Strategy<Value = String> {
    let hard = "[ \t\n#:'\"\\\\|>&*!%@`{}\\[\\],a0.~=<é😀-]{1,12}";
    let plain = "[a-z]{1,8}";
    let word = "yes|no|1\\.10|012|1e3|null|~|<<|2001-12-14|1:20";
    let text = prop_oneof![hard, plain, word, any::<String>()];
    text.prop_filter("blank", |text| {
        !text.trim().is_empty() && !text.contains('\0')
    })
}

fn variables() -> impl Strategy<Value = IndexMap<String, String>> {
    let name = text().prop_filter("no name", |text| {
        !text.contains(|c: char| c == '=' || c.is_whitespace())
    });
    let value = prop_oneof![text(), Just(String::new())];
    vec((name, value), 0..3).prop_map(|pairs| pairs.into_iter().collect())
}

fn run() -> impl Strategy<Value = Step> {
    let texts = (text(), text(), of(text()), of(text()));
    let when = prop_oneof![
        Just(When::OnSuccess),
        Just(When::OnFail),
        Just(When::Always)
    ];
    let timeout = (0..100_000_u64, 0..600_000_u64);
    let rest = (variables(), any::<bool>(), timeout, when, 0..=5_u32);
    (texts, rest).prop_map(|((name, command, shell, directory), rest)| {
        let (environment, background, (timeout, delay), when, max_auto_reruns) = rest;
        let delay = if max_auto_reruns == 0 { 0 } else { delay };
        Step::Run(RunStep {
            name,
            command,
            shell,
            environment,
            background,
            working_directory: directory,
            no_output_timeout: Duration::from_millis(timeout),
            when,
            max_auto_reruns,
            auto_rerun_delay: Duration::from_millis(delay),
        })
    })
}

fn checkout() -> impl Strategy<Value = Step> {
    let method = prop_oneof![Just(CheckoutMethod::Blobless), Just(CheckoutMethod::Full)];
    (of(text()), method).prop_map(|(path, method)| {
        Step::Checkout(CheckoutStep {
            name: None,
            path,
            method,
        })
    })
}

fn environment_kind() -> impl Strategy<Value = EnvironmentKind> {
    let words = || vec(prop_oneof![text(), Just(String::new())], 0..3);
    let image = (
        text(),
        of(text()),
        words(),
        words(),
        of(text()),
        variables(),
    )
        .prop_map(
            |(image, name, entrypoint, command, user, environment)| DockerImage {
                image,
                name,
                entrypoint,
                command,
                user,
                environment,
                auth: None,
            },
        );
    prop_oneof![
        of(text()).prop_map(|image| EnvironmentKind::Machine { image }),
        vec(image, 1..3).prop_map(|images| EnvironmentKind::Docker { images }),
    ]
}

fn build() -> impl Strategy<Value = JobKind> {
    let steps = vec(prop_oneof![run(), checkout()], 1..4);
    let texts = (of(text()), text(), variables());
    let size = of("small|medium\\+|[a-z]{1,4}");
    (environment_kind(), texts, steps, 1..1_000_u32, size).prop_map(
        |(environment_kind, (shell, working_directory, environment), steps, parallelism, size)| {
            JobKind::Build(Box::new(BuildPlan {
                class: options().default_class,
                parallelism,
                spec: JobSpec {
                    environment_kind,
                    shell,
                    working_directory,
                    environment,
                    steps,
                    resource_class: size,
                    retry_when_lost: false,
                    cache_retention_days: None,
                },
            }))
        },
    )
}

/// The jobs of a workflow: each may require those before it.
fn jobs() -> impl Strategy<Value = Vec<ExpandedJob>> {
    let names = hash_set(prop_oneof!["[ab]", text()], 1..4);
    let accepts = prop_oneof![
        Just(vec![Outcome::Passed]),
        Just(vec![Outcome::NotRun, Outcome::Canceled]),
        Just(vec![
            Outcome::Passed,
            Outcome::Lost,
            Outcome::TimedOut,
            Outcome::Failed
        ]),
        Just(Outcome::ALL.to_vec()),
    ];
    let requires = vec(of(accepts), 4);
    (names, vec((build(), requires, text()), 4)).prop_map(|(names, bodies)| {
        let names: Vec<String> = names.into_iter().collect();
        let jobs = names.iter().zip(bodies).enumerate();
        let job = |(at, (name, (kind, requires, origin))): (usize, (&String, (_, Vec<_>, _)))| {
            let requires = names[..at].iter().zip(requires);
            let requires = requires.filter_map(|(job, accepts)| {
                Some(Requirement {
                    job: job.clone(),
                    accepts: accepts?,
                })
            });
            ExpandedJob {
                plan: JobPlan {
                    name: name.clone(),
                    requires: requires.collect(),
                    contexts: vec![],
                    serial_group: None,
                    kind,
                },
                filters: Filters::default(),
                origin,
            }
        };
        jobs.map(job).collect()
    })
}

fn config() -> impl Strategy<Value = Expanded> {
    let names = hash_set(prop_oneof!["version", text()], 1..4);
    (names, vec(jobs(), 4)).prop_map(|(names, jobs)| Expanded {
        setup: false,
        workflows: names
            .into_iter()
            .zip(jobs)
            .map(|(name, jobs)| ExpandedWorkflow {
                name,
                schedules: vec![],
                max_auto_reruns: 0,
                jobs,
            })
            .collect(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn any_config_comes_back(config in config()) {
        let once = process(&config);
        let source = SourceFile::new("config.yml", once.clone());
        let again = match expand(&source, &options()) {
            Ok(again) => again.expanded,
            Err(errors) => panic!("{}\n{once}", errors.render(&source, false)),
        };
        prop_assert_eq!(process(&again), once);
        let jobs = |config: &Expanded| -> Vec<JobPlan> {
            let workflows = config.workflows.iter();
            workflows.flat_map(|it| it.jobs.iter().map(|job| job.plan.clone())).collect()
        };
        prop_assert_eq!(jobs(&again), jobs(&config));
    }
}
