//! A config as a large project has it, of any length.

use std::fmt::Write as _;

/// What all services share: parameters, an orb, anchors, executors and commands.
const HEAD: &str = "\
version: 2.1

parameters:
  deploy:
    type: boolean
    default: true
  only:
    type: string
    default: ''

orbs:
  tools:
    executors:
      scanner:
        docker:
          - image: cimg/base:stable
    commands:
      notify:
        parameters:
          message:
            type: string
          when:
            type: enum
            enum: [always, on_fail]
            default: on_fail
        steps:
          - run:
              name: Notify
              command: ./notify '<< parameters.message >>'
              when: << parameters.when >>
    jobs:
      scan:
        parameters:
          path:
            type: string
        executor: scanner
        steps:
          - checkout
          - run: ./scan << parameters.path >>
          - notify:
              message: scanned << parameters.path >>

anchors:
  environment: &environment
    CI_LEVEL: full
    CACHE_VERSION: v3
  defaults: &defaults
    docker:
      - image: cimg/rust:1.90
        environment:
          <<: *environment
      - image: cimg/postgres:17.0
    resource_class: acme/linux
    working_directory: ~/code
  filters: &filters
    branches:
      ignore: /^draft\\/.*/
    tags:
      only: /^v\\d+(\\.\\d+)*$/

executors:
  node:
    parameters:
      tag:
        type: string
        default: lts
    docker:
      - image: cimg/node:<< parameters.tag >>
    environment:
      <<: *environment

commands:
  with-cache:
    parameters:
      key:
        type: string
      steps:
        type: steps
        default: []
    steps:
      - restore_cache:
          keys:
            - << parameters.key >>-{{ checksum \"Cargo.lock\" }}
            - << parameters.key >>-
      - steps: << parameters.steps >>
      - save_cache:
          key: << parameters.key >>-{{ checksum \"Cargo.lock\" }}
          paths:
            - ~/.cargo
";

/// The jobs of a service, whose number stands for `@`.
const JOBS: &str = "
  build-@:
    <<: *defaults
    parameters:
      toolchain:
        type: string
      target:
        type: enum
        enum: [debug, release]
        default: debug
    environment:
      <<: *environment
      SERVICE: service-@
    steps:
      - checkout
      - with-cache:
          key: service-@-<< parameters.toolchain >>
          steps:
            - run:
                name: Build service @ for << parameters.target >>
                command: |
                  cd services/service-@
                  cargo +<< parameters.toolchain >> build --profile << parameters.target >>
                  cat \\<<END
                  built for << pipeline.git.branch >>
                  END
      - when:
          condition:
            and:
              - equal: [release, << parameters.target >>]
              - << pipeline.parameters.deploy >>
          steps:
            - persist_to_workspace:
                root: .
                paths: [services/service-@/target]
      - tools/notify:
          message: service @, << parameters.toolchain >>

  test-@:
    executor:
      name: node
      tag: '22'
    parallelism: 4
    steps:
      - checkout
      - run:
          name: Test service @
          command: npm test --workspace service-@
          no_output_timeout: 20m
          environment:
            SHARD: 'true'
      - store_test_results:
          path: services/service-@/reports
      - store_artifacts:
          path: services/service-@/coverage
          destination: coverage-@

  deploy-@:
    machine: true
    resource_class: acme/deploy
    steps:
      - attach_workspace: {at: .}
      - run: ./deploy service-@
      - tools/notify: {message: deployed @, when: always}
";

/// The workflow of a service.
const WORKFLOW: &str = "
  service-@:
    when:
      or:
        - equal: ['', << pipeline.parameters.only >>]
        - equal: [service-@, << pipeline.parameters.only >>]
    jobs:
      - build-@:
          matrix:
            parameters:
              toolchain: ['1.90', '1.91', nightly]
              target: [debug, release]
            exclude:
              - toolchain: nightly
                target: release
          context: [registry]
          filters: *filters
      - test-@:
          requires: [build-@]
          filters: *filters
          post-steps:
            - tools/notify: {message: tested @}
      - tools/scan:
          name: scan-@
          path: services/service-@
          filters: *filters
      - approve-@:
          type: approval
          requires: [test-@, scan-@: [success, failed]]
          filters: *filters
      - deploy-@:
          requires: [approve-@]
          context: [registry, production]
          serial-group: deploy/service-@
          filters: *filters
";

/// A config of about so many lines.
pub fn config(lines: usize) -> String {
    let count = |text: &str| text.lines().count();
    let services = lines.saturating_sub(count(HEAD)) / (count(JOBS) + count(WORKFLOW));
    let all = |part: &str| {
        let numbers = 1..=services.max(1);
        numbers.fold(String::new(), |text, number| {
            text + &part.replace('@', &number.to_string())
        })
    };
    let mut text = HEAD.to_owned();
    // Writing to a text does not fail.
    let _ = write!(text, "\njobs:{}\nworkflows:{}", all(JOBS), all(WORKFLOW));
    text
}

#[cfg(test)]
mod tests {
    use outrider_config::{Options, SourceFile, compile};

    #[test]
    fn it_compiles_without_a_word_and_all_of_it_runs() {
        let text = super::config(1_000);
        let lines = text.lines().count();
        assert!((900..=1_000).contains(&lines), "{lines} lines");
        let source = SourceFile::new("config.yml", text);
        let mut options = Options::new("acme/linux".parse().unwrap());
        options.values.git_branch = Some("main".to_owned());
        let compiled = compile(&source, &options).unwrap();
        assert!(
            compiled.warnings.is_empty(),
            "{}",
            compiled.warnings.render(&source, false)
        );
        let workflows = &compiled.plan.workflows;
        assert!(workflows.len() > 5 && workflows.iter().all(|it| it.jobs.len() == 9));
    }
}
