//! What the Engine offers to the docker executor.

use bollard::models::SystemInfo;

use super::engine::Engine;
use super::limits::Host;
use super::settings::{DockerSettings, Privileges};
use crate::{Finding, Verdict};

/// All findings, in the order in which they matter.
pub(super) async fn all(settings: &DockerSettings) -> Vec<Finding> {
    let engine = match Engine::connect(settings.engine.as_deref(), settings.patience).await {
        Ok(engine) => engine,
        Err(error) => {
            let (detail, advice) = match error.message.split_once('\n') {
                Some((detail, advice)) => (detail, advice),
                None => (error.message.as_str(), "install and start Docker or Podman"),
            };
            let source = error.source.map(|source| format!(": {source}"));
            let detail = format!("{detail}{}", source.unwrap_or_default());
            return vec![finding("engine", Verdict::Missing, detail, advice)];
        }
    };
    let info = engine.info();
    let host = Host::of(info, engine.is_rootless());
    let mut findings = vec![
        answers(&engine),
        cgroups(info),
        limits(&host),
        storage(info, &host, settings),
        seccomp(&engine),
        user_namespace(&engine),
    ];
    findings.extend(socket(&engine, &settings.privileges));
    if engine.is_podman() {
        findings.extend(podman());
    }
    findings.extend(warnings(info));
    findings
}

fn finding(subject: &str, verdict: Verdict, detail: String, advice: &str) -> Finding {
    Finding {
        subject: subject.to_owned(),
        verdict,
        detail,
        advice: Some(advice.to_owned()),
    }
}

fn good(subject: &str, detail: String) -> Finding {
    Finding {
        subject: subject.to_owned(),
        verdict: Verdict::Good,
        detail,
        advice: None,
    }
}

fn answers(engine: &Engine) -> Finding {
    let version = engine.info().server_version.as_deref();
    let detail = format!(
        "version {} with API {} at {}",
        version.unwrap_or("unknown"),
        engine.api(),
        engine.address()
    );
    good("engine", detail)
}

/// What Podman's API lacks.
fn podman() -> [Finding; 3] {
    let limited = |subject: &str, detail: &str, advice| {
        finding(subject, Verdict::Limited, detail.to_owned(), advice)
    };
    [
        limited(
            "ends of containers",
            "Podman does not tell whether somebody has killed a container, or its host for lack of \
             memory: one message stands for both",
            "look at the kernel's log of the host, or use Docker",
        ),
        limited(
            "health checks",
            "Podman does not tell of those of images: a service is ready when it listens on a port \
             that its image exposes, or else at once",
            "let the first step wait for what it needs, or use Docker",
        ),
        limited(
            "names of images",
            "images that were built here are not found by their short name",
            "write `localhost/NAME` into configs",
        ),
    ]
}

fn socket(engine: &Engine, privileges: &Privileges) -> Option<Finding> {
    let useless = privileges.docker_socket && engine.remaps_users();
    useless.then(|| {
        finding(
            "engine's socket",
            Verdict::Limited,
            "no user of a container may use it, because the Engine runs with --userns-remap: jobs \
             with `setup_remote_docker` fail"
                .to_owned(),
            "take --allow-docker-socket away, or use another Engine for such jobs",
        )
    })
}

fn cgroups(info: &SystemInfo) -> Finding {
    let version = info.cgroup_version.as_ref().map(ToString::to_string);
    let driver = info.cgroup_driver.as_ref().map(ToString::to_string);
    match (version.as_deref().unwrap_or("1"), driver.as_deref()) {
        (version, Some(driver)) if driver != "none" => {
            good("cgroups", format!("v{version} by {driver}"))
        }
        (version, _) => finding(
            "cgroups",
            Verdict::Limited,
            format!("v{version}, which the Engine may not use: nothing limits containers"),
            "run the Engine as root, or give it the controllers of cgroup v2",
        ),
    }
}

fn limits(host: &Host) -> Finding {
    let missing: Vec<_> = [
        ("processors", host.limits_cpu),
        ("memory", host.limits_memory),
        ("swap", host.limits_swap),
        ("processes", host.limits_pids),
    ]
    .into_iter()
    .filter_map(|(name, can)| (!can).then_some(name))
    .collect();
    if missing.is_empty() {
        return good(
            "limits",
            "processors, memory, swap and processes".to_owned(),
        );
    }
    finding(
        "limits",
        Verdict::Limited,
        format!("the Engine cannot limit: {}", missing.join(", ")),
        "use cgroup v2, of which an Engine without root needs `Delegate=yes`; or boot with \
         `cgroup_enable=memory swapaccount=1`",
    )
}

fn storage(info: &SystemInfo, host: &Host, settings: &DockerSettings) -> Finding {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    let limits = [settings.limits, settings.service_limits];
    if host.limits_storage {
        return good("storage", format!("{driver}, which can limit containers"));
    }
    if limits.iter().all(|limits| limits.storage.is_none()) {
        return good("storage", format!("{driver}, without a limit"));
    }
    finding(
        "storage",
        Verdict::Limited,
        format!(
            "{driver} cannot limit containers: the size of primary ones is looked at now and then, \
             without their volumes; that of services is not"
        ),
        "use btrfs or zfs for the Engine's data, so that no task can fill the disk",
    )
}

fn seccomp(engine: &Engine) -> Finding {
    match engine.security("seccomp") {
        Some(option) if !option.contains("unconfined") => good("seccomp", "on".to_owned()),
        _ => finding(
            "seccomp",
            Verdict::Limited,
            "off: jobs may make every system call".to_owned(),
            "use a kernel with seccomp, and the Engine's default profile",
        ),
    }
}

fn user_namespace(engine: &Engine) -> Finding {
    match (engine.is_rootless(), engine.remaps_users()) {
        (true, _) => good("user namespace", "the Engine runs without root".to_owned()),
        (_, true) => good("user namespace", "root of a container is nobody".to_owned()),
        _ => finding(
            "user namespace",
            Verdict::Limited,
            "none: root of a container is root of the host, without most capabilities".to_owned(),
            "start Docker with `--userns-remap=default`, or the Engine without root, if jobs are not \
             to be trusted",
        ),
    }
}

fn warnings(info: &SystemInfo) -> Vec<Finding> {
    let lines = info.warnings.iter().flatten();
    lines
        .map(|line| {
            let line = line.trim_start_matches("WARNING: ").to_owned();
            finding(
                "engine's warning",
                Verdict::Limited,
                line,
                "see the Engine's manual",
            )
        })
        .collect()
}
