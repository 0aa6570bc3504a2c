//! What a container may use.

use bollard::models::SystemInfo;

use super::settings::Limits;

const DEFAULT_PIDS: u64 = 4096;
/// Chromium and databases want more than the 64 MiB that Docker gives.
const MOST_SHARED_MEMORY: u64 = 2 << 30;

/// The sizes of CircleCI's docker classes: thousandths of a processor, and GiB of memory.
const SIZES: [(&str, u64, u64); 7] = [
    ("small", 1_000, 2),
    ("medium", 2_000, 4),
    ("medium+", 3_000, 6),
    ("large", 4_000, 8),
    ("xlarge", 8_000, 16),
    ("2xlarge", 16_000, 32),
    ("2xlarge+", 20_000, 40),
];

/// What the Engine's host has, and what it can enforce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Host {
    pub cpu_millis: Option<u64>,
    pub memory: Option<u64>,
    pub limits_cpu: bool,
    pub limits_memory: bool,
    pub limits_swap: bool,
    pub limits_pids: bool,
    pub limits_storage: bool,
}

impl Host {
    pub fn of(info: &SystemInfo, rootless: bool) -> Self {
        // Podman says of version 1 what root could do, and then passes over every limit.
        let can = |said: Option<bool>| said.unwrap_or(true) && !(rootless && is_version_1(info));
        let positive = |number: Option<i64>| {
            number
                .and_then(|number| u64::try_from(number).ok())
                .filter(|&number| number > 0)
        };
        Self {
            cpu_millis: positive(info.ncpu).map(|processors| processors * 1_000),
            memory: positive(info.mem_total),
            limits_cpu: can(info.cpu_cfs_quota),
            limits_memory: can(info.memory_limit),
            limits_swap: can(info.swap_limit),
            limits_pids: can(info.pids_limit),
            limits_storage: limits_storage(info),
        }
    }
}

/// Of the cgroups of the Engine's host.
pub(super) fn is_version_1(info: &SystemInfo) -> bool {
    let version = info.cgroup_version.as_ref();
    version.is_none_or(|version| version.to_string() != "2")
}

/// Whether the storage driver can bound what a container writes. overlay2 can where it lies on xfs
/// with project quotas, which the Engine does not tell: there it is watched.
fn limits_storage(info: &SystemInfo) -> bool {
    matches!(info.driver.as_deref(), Some("btrfs" | "zfs"))
}

/// What the settings say, then the size of the job; never more than the host has. There is always
/// a bound on processes.
pub(super) fn effective(settings: &Limits, class: Option<&str>, host: &Host) -> Limits {
    let size = class.and_then(size);
    let at_most = |wanted: Option<u64>, has: Option<u64>| match (wanted, has) {
        (Some(wanted), Some(has)) => Some(wanted.min(has)),
        (wanted, _) => wanted,
    };
    let cpu = settings.cpu_millis.or(size.map(|(cpu, _)| cpu));
    let memory = settings.memory.or(size.map(|(_, memory)| memory));
    Limits {
        cpu_millis: at_most(cpu, host.cpu_millis).filter(|_| host.limits_cpu),
        memory: at_most(memory, host.memory).filter(|_| host.limits_memory),
        storage: settings.storage,
        pids: Some(settings.pids.unwrap_or(DEFAULT_PIDS)).filter(|_| host.limits_pids),
    }
}

/// What the settings bound and the Engine cannot.
pub(super) fn in_vain(settings: &[Limits], host: &Host) -> Vec<&'static str> {
    let is_set = |of: fn(&Limits) -> Option<u64>| settings.iter().any(|it| of(it).is_some());
    [
        ("processors", is_set(|it| it.cpu_millis), host.limits_cpu),
        ("memory", is_set(|it| it.memory), host.limits_memory),
        ("processes", is_set(|it| it.pids), host.limits_pids),
    ]
    .into_iter()
    .filter_map(|(name, is_set, can)| (is_set && !can).then_some(name))
    .collect()
}

fn size(class: &str) -> Option<(u64, u64)> {
    let class = class.strip_prefix("arm.").unwrap_or(class);
    SIZES
        .iter()
        .find(|(name, _, _)| *name == class)
        .map(|&(_, cpu, memory)| (cpu, memory << 30))
}

/// The size of `/dev/shm`.
pub(super) fn shared_memory(limits: &Limits, host: &Host) -> Option<u64> {
    let memory = limits.memory.or(host.memory)?;
    Some((memory / 2).min(MOST_SHARED_MEMORY))
}

#[cfg(test)]
mod tests {
    use bollard::models::SystemInfoCgroupVersionEnum;

    use super::*;

    const HOST: Host = Host {
        cpu_millis: Some(4_000),
        memory: Some(16 << 30),
        limits_cpu: true,
        limits_memory: true,
        limits_swap: true,
        limits_pids: true,
        limits_storage: false,
    };

    #[test]
    fn the_size_of_the_job_counts_unless_the_settings_say_something() {
        let nothing = Limits::default();
        let medium = effective(&nothing, Some("medium"), &HOST);
        assert_eq!(
            (medium.cpu_millis, medium.memory, medium.pids),
            (Some(2_000), Some(4 << 30), Some(4096))
        );
        let arm = effective(&nothing, Some("arm.medium"), &HOST);
        assert_eq!(arm, medium);
        let settings = Limits {
            memory: Some(1 << 30),
            ..nothing
        };
        let own = effective(&settings, Some("medium"), &HOST);
        assert_eq!((own.cpu_millis, own.memory), (Some(2_000), Some(1 << 30)));
        assert_eq!(effective(&nothing, Some("acme/big"), &HOST).memory, None);
    }

    #[test]
    fn nobody_gets_more_than_there_is_nor_what_cannot_be_enforced() {
        let huge = effective(&Limits::default(), Some("2xlarge+"), &HOST);
        assert_eq!(
            (huge.cpu_millis, huge.memory),
            (HOST.cpu_millis, HOST.memory)
        );
        let weak = Host {
            limits_memory: false,
            limits_pids: false,
            ..HOST
        };
        let limits = effective(&Limits::default(), Some("small"), &weak);
        assert_eq!((limits.memory, limits.pids), (None, None));
        let all = Limits {
            cpu_millis: Some(1_000),
            memory: Some(1 << 30),
            ..Limits::default()
        };
        assert_eq!(in_vain(&[Limits::default(), all], &weak), ["memory"]);
        assert_eq!(in_vain(&[Limits::default(), all], &HOST), [""; 0]);
    }

    #[test]
    fn without_root_only_version_2_has_limits() {
        let info = |version| SystemInfo {
            cgroup_version: Some(version),
            memory_limit: Some(true),
            pids_limit: Some(false),
            ..SystemInfo::default()
        };
        let (one, two) = (
            info(SystemInfoCgroupVersionEnum::_1),
            info(SystemInfoCgroupVersionEnum::_2),
        );
        assert!(Host::of(&one, false).limits_memory);
        assert!(!Host::of(&one, true).limits_memory);
        assert!(Host::of(&two, true).limits_memory);
        assert!(!Host::of(&two, true).limits_pids, "as the Engine says");
    }

    #[test]
    fn shared_memory_is_half_of_the_memory_and_bounded() {
        let limits = |memory| Limits {
            memory,
            ..Limits::default()
        };
        assert_eq!(shared_memory(&limits(Some(1 << 30)), &HOST), Some(1 << 29));
        assert_eq!(shared_memory(&limits(None), &HOST), Some(2 << 30));
        assert_eq!(shared_memory(&limits(None), &Host::default()), None);
    }
}
