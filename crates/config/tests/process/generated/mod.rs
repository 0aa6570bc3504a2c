//! The expanded form of configs that nobody would write.

mod environments;
mod steps;

use environments::environment_kind;
use indexmap::IndexMap;
use outrider_config::expanded::{Expanded, ExpandedJob, ExpandedWorkflow, Filters, Rule, Schedule};
use outrider_config::{Pattern, SourceFile, expand, process};
use outrider_model::Outcome;
use outrider_model::plan::{BuildPlan, JobKind, JobPlan, JobSpec, Requirement};
use proptest::collection::{hash_set, vec};
use proptest::option::of;
use proptest::prelude::*;
use steps::step;

use super::support::options;

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

fn build() -> impl Strategy<Value = JobKind> {
    let steps = vec(step(), 1..4);
    let texts = (of(text()), text(), variables());
    let size = (of("small|medium\\+|[a-z]{1,4}"), of(1..=30_u32));
    (environment_kind(), texts, steps, 1..1_000_u32, size).prop_map(
        |(
            environment_kind,
            (shell, working_directory, environment),
            steps,
            parallelism,
            (size, days),
        )| {
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
                    cache_retention_days: days,
                },
            }))
        },
    )
}

fn kind() -> impl Strategy<Value = JobKind> {
    prop_oneof![
        6 => build(),
        1 => Just(JobKind::Approval),
        1 => Just(JobKind::NoOp),
        1 => text().prop_map(|plan_name| JobKind::Release { plan_name }),
        1 => text().prop_map(|key| JobKind::Lock { key }),
        1 => text().prop_map(|key| JobKind::Unlock { key }),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let name = || text().prop_filter("a regular expression", |text| !text.starts_with('/'));
    let names = || of(vec(name().prop_map(Pattern::name), 0..3));
    (names(), names()).prop_map(|(only, ignore)| Rule { only, ignore })
}

fn filters() -> impl Strategy<Value = Filters> {
    (of(rule()), of(rule())).prop_map(|(branches, tags)| Filters::Rules { branches, tags })
}

fn requires() -> impl Strategy<Value = Vec<Option<Vec<Outcome>>>> {
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
    vec(of(accepts), 4)
}

/// A job without a name that requires nothing yet.
fn job() -> impl Strategy<Value = ExpandedJob> {
    let more = (of("[a-z./_-]{1,9}"), filters(), text());
    (kind(), vec(text(), 0..3), more).prop_map(
        |(kind, contexts, (serial_group, filters, origin))| ExpandedJob {
            plan: JobPlan {
                name: String::new(),
                requires: vec![],
                contexts,
                serial_group,
                kind,
            },
            filters,
            origin,
        },
    )
}

/// The jobs of a workflow: each may require those before it.
fn jobs() -> impl Strategy<Value = Vec<ExpandedJob>> {
    let names = hash_set(prop_oneof!["[ab]", text()], 1..4);
    (names, vec((job(), requires()), 4)).prop_map(|(names, jobs)| {
        let names: Vec<String> = names.into_iter().collect();
        let jobs = names.iter().zip(jobs).enumerate();
        jobs.map(|(at, (name, (mut job, requires)))| {
            let requires = names[..at].iter().zip(requires);
            let requires = requires.filter_map(|(job, accepts)| {
                Some(Requirement {
                    job: job.clone(),
                    accepts: accepts?,
                })
            });
            job.plan.requires = requires.collect();
            job.plan.name.clone_from(name);
            job
        })
        .collect()
    })
}

/// A workflow without a name.
fn workflow() -> impl Strategy<Value = ExpandedWorkflow> {
    let cron = prop_oneof!["[0-9] 3 \\* \\* 1-5", Just("*/5 0 1,15 jan mon".to_owned())];
    let schedule = (cron, rule()).prop_map(|(cron, branches)| Schedule { cron, branches });
    (vec(schedule, 0..2), 0..=5_u32, jobs()).prop_map(|(schedules, max_auto_reruns, jobs)| {
        ExpandedWorkflow {
            name: String::new(),
            schedules,
            max_auto_reruns,
            jobs,
        }
    })
}

fn config() -> impl Strategy<Value = Expanded> {
    let names = hash_set(prop_oneof!["version", text()], 1..4);
    (names, vec(workflow(), 4), any::<bool>()).prop_map(|(names, workflows, setup)| Expanded {
        setup,
        workflows: names
            .into_iter()
            .zip(workflows)
            // A setup config has one workflow.
            .take(if setup { 1 } else { 4 })
            .map(|(name, workflow)| ExpandedWorkflow { name, ..workflow })
            .collect(),
    })
}

/// What a config says, without where it says it.
fn said(config: &Expanded) -> String {
    let workflows = config.workflows.iter().map(|it| {
        let jobs: Vec<_> = it
            .jobs
            .iter()
            .map(|job| (&job.plan, &job.filters))
            .collect();
        format!("{:?}", (&it.name, &it.schedules, it.max_auto_reruns, jobs))
    });
    format!("{} {:?}", config.setup, workflows.collect::<Vec<_>>())
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
        prop_assert_eq!(said(&again), said(&config));
    }
}
