//! Steps of all kinds.

use std::time::Duration;

use outrider_model::plan::{
    AddSshKeysStep, AttachWorkspaceStep, CheckoutMethod, CheckoutStep, PersistToWorkspaceStep,
    RestoreCacheStep, RunStep, SaveCacheStep, SetupRemoteDockerStep, Step, StoreArtifactsStep,
    StoreTestResultsStep, When,
};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::{text, variables};

pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![3 => run(), 1 => checkout(), 2 => caches(), 2 => files(), 1 => others()]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        Just(When::OnSuccess),
        Just(When::OnFail),
        Just(When::Always)
    ]
}

fn run() -> impl Strategy<Value = Step> {
    let texts = (text(), text(), of(text()), of(text()));
    let timeout = (0..100_000_u64, 0..600_000_u64);
    let rest = (variables(), any::<bool>(), timeout, when(), 0..=5_u32);
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
    let method = prop_oneof![
        Just(CheckoutMethod::Blobless),
        Just(CheckoutMethod::Full),
        (1..1_000_u32).prop_map(|depth| CheckoutMethod::Shallow { depth }),
    ];
    (of(text()), of(text()), method)
        .prop_map(|(name, path, method)| Step::Checkout(CheckoutStep { name, path, method }))
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    vec(text(), 1..3)
}

fn caches() -> impl Strategy<Value = Step> {
    prop_oneof![
        (of(text()), text(), texts(), when()).prop_map(|(name, key, paths, when)| {
            Step::SaveCache(SaveCacheStep {
                name,
                key,
                paths,
                when,
            })
        }),
        (of(text()), texts())
            .prop_map(|(name, keys)| Step::RestoreCache(RestoreCacheStep { name, keys })),
    ]
}

fn files() -> impl Strategy<Value = Step> {
    prop_oneof![
        (of(text()), text(), of(text())).prop_map(|(name, path, destination)| {
            Step::StoreArtifacts(StoreArtifactsStep {
                name,
                path,
                destination,
            })
        }),
        (of(text()), text())
            .prop_map(|(name, path)| Step::StoreTestResults(StoreTestResultsStep { name, path })),
        (of(text()), text(), texts()).prop_map(|(name, root, paths)| {
            Step::PersistToWorkspace(PersistToWorkspaceStep { name, root, paths })
        }),
        (of(text()), text())
            .prop_map(|(name, at)| Step::AttachWorkspace(AttachWorkspaceStep { name, at })),
    ]
}

fn others() -> impl Strategy<Value = Step> {
    prop_oneof![
        (of(text()), of(text())).prop_map(|(name, version)| {
            Step::SetupRemoteDocker(SetupRemoteDockerStep { name, version })
        }),
        (of(text()), vec(text(), 0..3)).prop_map(|(name, fingerprints)| {
            Step::AddSshKeys(AddSshKeysStep { name, fingerprints })
        }),
    ]
}
