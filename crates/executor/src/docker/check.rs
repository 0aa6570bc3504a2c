//! What the Engine offers to the docker executor.

use bollard::models::SystemInfo;

use super::engine::Engine;
use super::limits::Host;
use super::settings::{DockerSettings, Limits};
use crate::{Finding, Verdict};

/// All findings, in the order in which they matter.
pub(super) async fn all(settings: &DockerSettings) -> Vec<Finding> {
    let engine = match Engine::connect(settings.engine.as_deref()).await {
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
    let host = Host::of(info);
    let mut findings = vec![
        answers(&engine),
        cgroups(info),
        limits(&host),
        storage(info, &host, &settings.limits),
        seccomp(info),
        user_namespace(info),
    ];
    if engine.is_podman() {
        findings.push(podman());
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

fn podman() -> Finding {
    finding(
        "podman",
        Verdict::Limited,
        "the Engine is Podman: where it runs without root, its containers have only the limits \
         that its user may set"
            .to_owned(),
        "give its user the controllers of cgroup v2 (`Delegate=yes`), or use Docker",
    )
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
        format!("the kernel cannot limit: {}", missing.join(", ")),
        "boot it with `cgroup_enable=memory swapaccount=1`, or use cgroup v2",
    )
}

fn storage(info: &SystemInfo, host: &Host, limits: &Limits) -> Finding {
    let driver = info.driver.as_deref().unwrap_or("unknown");
    match (host.limits_storage, limits.storage) {
        (true, _) => good("storage", format!("{driver}, which can limit containers")),
        (false, None) => good("storage", format!("{driver}, without a limit")),
        (false, Some(_)) => finding(
            "storage",
            Verdict::Limited,
            format!("{driver} cannot limit containers: their size is looked at now and then"),
            "use btrfs or zfs for the Engine's data, so that no task can fill the disk in between",
        ),
    }
}

fn option<'a>(info: &'a SystemInfo, name: &str) -> Option<&'a str> {
    let options = info.security_options.iter().flatten();
    let is_it = |option: &&String| option.split(',').any(|part| part == format!("name={name}"));
    options.into_iter().find(is_it).map(String::as_str)
}

fn seccomp(info: &SystemInfo) -> Finding {
    match option(info, "seccomp") {
        Some(option) if !option.contains("unconfined") => good("seccomp", "on".to_owned()),
        _ => finding(
            "seccomp",
            Verdict::Limited,
            "off: jobs may make every system call".to_owned(),
            "use a kernel with seccomp, and the Engine's default profile",
        ),
    }
}

fn user_namespace(info: &SystemInfo) -> Finding {
    match (option(info, "rootless"), option(info, "userns")) {
        (Some(_), _) => good("user namespace", "the Engine runs without root".to_owned()),
        (_, Some(_)) => good("user namespace", "root of a container is nobody".to_owned()),
        _ => finding(
            "user namespace",
            Verdict::Limited,
            "none: root of a container is root of the host, without most capabilities".to_owned(),
            "start the Engine with `--userns-remap=default`, or without root, if jobs are not \
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
