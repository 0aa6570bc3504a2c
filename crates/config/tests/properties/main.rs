//! What holds for every config: whole configs are made from numbers, and proptest looks for the
//! smallest one for which it does not hold. What fails prints the config.

#[path = "../support/cases.rs"]
mod cases;
mod dice;
mod generate;
mod names;
#[path = "../support/places.rs"]
mod places;
mod steps;
#[path = "../support/mod.rs"]
mod support;
mod tree;
mod workflows;

use cases::cases;
use dice::Dice;
use generate::{Generated, Generator};
use outrider_config::diagnostic::code;
use outrider_config::{Options, ParameterValue, SourceFile, compile, expand, process};
use outrider_model::plan::Plan;
use places::check_places;
use proptest::prelude::*;
use tree::Tree;

/// A branch or a tag that a pipeline runs for.
#[derive(Clone, Copy)]
enum Target {
    Branch(&'static str),
    Tag(&'static str),
    Unknown,
}

const TARGETS: [Target; 5] = [
    Target::Unknown,
    Target::Branch("main"),
    Target::Branch("release/2"),
    Target::Tag("v1.2"),
    Target::Tag("nightly"),
];

fn options(target: Target) -> Options {
    let mut options = support::options();
    match target {
        Target::Branch(name) => options.values.git_branch = Some(name.to_owned()),
        Target::Tag(name) => options.values.git_tag = Some(name.to_owned()),
        Target::Unknown => {}
    }
    options
}

fn generated(numbers: &[u16], explicit: bool) -> Generated {
    Generator::new(numbers, explicit).config()
}

/// The plan of a config that is right; nothing if nothing of it runs.
fn plan(text: &str, options: &Options) -> Option<Plan> {
    let source = SourceFile::new("config.yml", text);
    match compile(&source, options) {
        Ok(compiled) => {
            check_places(&source, &compiled.warnings);
            Some(compiled.plan)
        }
        Err(errors) if errors.iter().any(|it| it.code == code::NOTHING_TO_RUN) => None,
        Err(errors) => panic!("{}\n{text}", errors.render(&source, false)),
    }
}

/// A plan without the order of mappings: that of workflows, and of the jobs of a matrix.
fn sorted(plan: Option<Plan>) -> Option<Plan> {
    let mut plan = plan?;
    plan.workflows.sort_by(|a, b| a.name.cmp(&b.name));
    for workflow in &mut plan.workflows {
        workflow.jobs.sort_by(|a, b| a.name.cmp(&b.name));
        for job in &mut workflow.jobs {
            job.requires.sort_by(|a, b| a.job.cmp(&b.job));
        }
    }
    Some(plan)
}

fn given(value: &Tree) -> ParameterValue {
    match value {
        Tree::Text(text) => ParameterValue::String(text.clone()),
        Tree::Raw(text) => ParameterValue::Text(text.clone()),
        other => panic!("{other:?} is no value of a pipeline parameter"),
    }
}

fn numbers() -> impl Strategy<Value = Vec<u16>> {
    prop::collection::vec(any::<u16>(), 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(60), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn to_process_is_to_say_the_same(numbers in numbers()) {
        let text = generated(&numbers, false).tree.written();
        for target in TARGETS {
            let options = options(target);
            let expanded = |text: &str| {
                let source = SourceFile::new("config.yml", text);
                expand(&source, &options).map_err(|it| it.render(&source, false))
            };
            let first = match expanded(&text) {
                Ok(config) => config.expanded,
                Err(errors) => panic!("{errors}\n{text}"),
            };
            if first.workflows.is_empty() {
                continue;
            }
            let once = process(&first);
            let again = match expanded(&once) {
                Ok(config) => process(&config.expanded),
                Err(errors) => panic!("{errors}\n{once}\nprocessed from\n{text}"),
            };
            assert_eq!(once, again, "from\n{text}");
            assert_eq!(plan(&text, &options), plan(&once, &options), "{once}\nfrom\n{text}");
        }
    }

    #[test]
    fn the_order_of_keys_does_not_matter(numbers in numbers(), order in numbers()) {
        let tree = generated(&numbers, false).tree;
        let (text, shuffled) = (tree.written(), tree.shuffled(&mut Dice::new(&order)).written());
        for target in TARGETS {
            let options = options(target);
            let plans = [&text, &shuffled].map(|text| sorted(plan(text, &options)));
            assert_eq!(plans[0], plans[1], "{text}\nand\n{shuffled}");
        }
    }

    #[test]
    fn a_default_is_as_good_as_the_same_value(numbers in numbers()) {
        let Generated { tree, parameters } = generated(&numbers, false);
        let explicit = generated(&numbers, true).tree.written();
        let text = tree.written();
        for target in TARGETS {
            let mut options = options(target);
            let plain = plan(&text, &options);
            assert_eq!(plain, plan(&explicit, &options), "{text}\nand\n{explicit}");
            for parameter in &parameters {
                let default = parameter.default.as_ref().unwrap();
                options.parameters.insert(parameter.name.clone(), given(default));
            }
            assert_eq!(plain, plan(&text, &options), "{text}\nwith {:?}", options.parameters);
        }
    }

    #[test]
    fn the_same_config_gives_the_same_plan(numbers in numbers()) {
        let text = generated(&numbers, false).tree.written();
        assert_eq!(text, generated(&numbers, false).tree.written());
        for target in TARGETS {
            let once = || serde_json::to_string(&plan(&text, &options(target))).unwrap();
            assert_eq!(once(), once(), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_in_the_config(numbers in numbers(), damage in numbers()) {
        let mut tree = generated(&numbers, false).tree;
        let mut dice = Dice::new(&damage);
        for _ in 0..=dice.below(3) {
            tree.damage(&mut dice);
        }
        let source = SourceFile::new("config.yml", tree.written());
        match compile(&source, &options(Target::Branch("main"))) {
            Ok(compiled) => check_places(&source, &compiled.warnings),
            Err(errors) => check_places(&source, &errors),
        }
    }
}
