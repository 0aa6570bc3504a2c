//! Jobs that call the helper, run by `outrider run`.

#[expect(dead_code, reason = "the other tests use the rest")]
mod support;

use std::collections::BTreeMap;

use support::{Home, Ran};

/// Runs one job with these steps, and shows all that they write.
fn run(home: &Home, job: &str, steps: &str) -> Ran {
    home.project(format!(
        "version: 2.1\njobs:\n  build:\n    machine: true\n{job}    steps:\n{steps}"
    ));
    home.run(&["run", "-v"])
}

#[test]
fn four_tasks_split_the_tests_that_they_find() {
    let home = Home::new();
    let files: Vec<String> = (0..10).map(|n| format!("spec/deep/{n}_spec.rb")).collect();
    for file in &files {
        home.write(&format!("project/{file}"), "");
    }
    let ran = run(
        &home,
        "    parallelism: 4\n    environment: {PATH: \"/usr/bin:/bin\"}\n",
        "      - checkout\n      - run:\n          command: |\n            \
         circleci tests glob 'spec/**/*_spec.rb' | circleci-agent tests split > share\n            \
         sed \"s/^/got $CIRCLE_NODE_INDEX /\" share\n",
    )
    .good();
    let mut of_tasks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut got = Vec::new();
    for line in ran.out.lines().filter_map(|line| line.strip_prefix("got ")) {
        let (task, file) = line.split_once(' ').unwrap();
        *of_tasks.entry(task).or_default() += 1;
        got.push(file);
    }
    got.sort_unstable();
    assert_eq!(got, files);
    assert_eq!(of_tasks.into_values().collect::<Vec<_>>(), [3, 3, 2, 2]);
    assert!(home.leftovers().is_empty(), "{:?}", home.leftovers());
}

#[test]
fn a_halted_job_passes_and_skips_what_is_left() {
    let home = Home::new();
    let ran = run(
        &home,
        "",
        "      - run: |\n          circleci-agent step halt\n          echo the rest of the step\n      \
         - run: echo a later step; exit 1\n      - run:\n          command: echo an always step\n          \
         when: always\n      - store_artifacts: {path: /no/such/file}\n",
    )
    .good();
    assert!(ran.out.contains("\nthe rest of the step\n"), "{}", ran.out);
    assert!(ran.out.contains("Halted: the job ends here"), "{}", ran.out);
    for never in ["a later step", "an always step", "rtifacts"] {
        assert!(!ran.out.contains(never), "{never}: {}", ran.out);
    }
    assert!(home.leftovers().is_empty(), "{:?}", home.leftovers());
}

#[test]
fn a_step_that_halts_and_fails_fails_the_job() {
    let home = Home::new();
    let ran = run(
        &home,
        "",
        "      - run: circleci task halt; exit 3\n      - run:\n          command: echo an always step\n          \
         when: always\n",
    );
    assert_eq!(ran.code, Some(3), "{}{}", ran.out, ran.err);
    assert!(!ran.out.contains("an always step"), "{}", ran.out);
}

#[test]
fn a_halt_ends_one_task_and_no_other() {
    let home = Home::new();
    let ran = run(
        &home,
        "    parallelism: 2\n",
        "      - run: if [ $CIRCLE_NODE_INDEX = 0 ]; then circleci step halt; fi\n      \
         - run: echo \"task $CIRCLE_NODE_INDEX goes on\"\n",
    )
    .good();
    assert!(!ran.out.contains("task 0 goes on"), "{}", ran.out);
    assert!(ran.out.contains("\ntask 1 goes on\n"), "{}", ran.out);
}
