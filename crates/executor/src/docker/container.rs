//! What a primary container is made of: its program, its limits, and what it may do.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
};

use super::limits::{Host, shared_memory};
use super::program::{Program, ROOT};
use super::settings::{Limits, Privileges};

/// Where containers find the Engine's socket.
pub(super) const SOCKET: &str = "/var/run/docker.sock";

/// What root needs to become the steps' user and to end its processes, and what installing a
/// package takes. Nothing of it reaches beyond the container.
const CAPABILITIES: [&str; 10] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETUID",
    "SYS_CHROOT",
];

/// What the loader of the init must not take from the image. Steps get the image's own values.
pub(super) const NOT_FOR_THE_INIT: [&str; 3] = ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"];

/// Folders in which everybody may write, although the root is read-only.
const SCRATCH: [&str; 3] = ["/tmp", "/var/tmp", "/run"];
/// Folders of users, the same.
const HOMES: [&str; 2] = ["/root", "/home"];

/// All that a task decides about its primary container before the init is told anything: containers
/// of one recipe are as good as each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Recipe {
    /// The image's id.
    pub image: String,
    pub limits: Limits,
    /// The Engine's socket on its host, where the job may use it.
    pub socket: Option<String>,
    /// Places besides [`SCRATCH`] that stay writable, if the root is read-only.
    pub writable: Vec<String>,
    /// Names that mean the container itself, if the root is read-only: the init could not write them.
    pub names: Vec<String>,
}

impl Recipe {
    /// Of a container without the Engine's socket, for a job that works in this directory.
    pub fn new(
        image: &str,
        limits: Limits,
        working_directory: &str,
        privileges: &Privileges,
    ) -> Self {
        let writable = if privileges.read_only_root {
            writable(working_directory)
        } else {
            Vec::new()
        };
        Self {
            image: image.to_owned(),
            limits,
            socket: None,
            writable,
            names: Vec::new(),
        }
    }
}

/// Where people may write although the root is read-only: at home, and where the job works.
fn writable(working_directory: &str) -> Vec<String> {
    let own = is_place_of_its_own(working_directory).then_some(working_directory);
    let own = own.map(|path| path.trim_end_matches('/'));
    HOMES.into_iter().chain(own).map(str::to_owned).collect()
}

/// Whether a working directory needs a place of its own where the root is read-only.
pub(super) fn is_place_of_its_own(working_directory: &str) -> bool {
    let path = working_directory.trim_end_matches('/');
    path.starts_with('/') && !HOMES.contains(&path) && !SCRATCH.contains(&path)
}

/// What one primary container is made of.
pub(super) struct Primary<'a> {
    pub recipe: &'a Recipe,
    pub program: &'a Program,
    pub labels: HashMap<String, String>,
    pub host: &'a Host,
    pub privileges: &'a Privileges,
    pub podman: bool,
}

impl Primary<'_> {
    /// What the Engine is asked to make.
    pub fn body(self) -> ContainerCreateBody {
        let host_config = self.host_config();
        let env = NOT_FOR_THE_INIT.map(|name| format!("{name}=")).to_vec();
        ContainerCreateBody {
            image: Some(self.recipe.image.clone()),
            user: Some("0".to_owned()),
            entrypoint: Some(self.program.command()),
            cmd: Some(vec!["task-init".to_owned()]),
            working_dir: Some("/".to_owned()),
            env: Some(env),
            labels: Some(self.labels),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(true),
            stdin_once: Some(true),
            tty: Some(false),
            host_config: Some(host_config),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self) -> HostConfig {
        let Recipe {
            limits,
            socket,
            writable,
            names,
            ..
        } = self.recipe;
        let mut config = HostConfig {
            auto_remove: Some(true),
            init: Some(false),
            mounts: Some(vec![program_mount(self.program, true)]),
            binds: socket
                .as_ref()
                .map(|socket| vec![format!("{socket}:{SOCKET}")]),
            ..HostConfig::default()
        };
        // Podman has a log driver of this name too, but none of its logs can be switched off while
        // somebody is attached.
        if !self.podman {
            config.log_config = Some(HostConfigLogConfig {
                typ: Some("none".to_owned()),
                config: None,
            });
        }
        limit(&mut config, limits, self.host);
        confine(&mut config, self.privileges);
        if self.privileges.read_only_root {
            config.readonly_rootfs = Some(true);
            config.tmpfs = Some(scratch(self.podman));
            let volumes = writable.iter().map(|path| anonymous_volume(path));
            config.mounts.get_or_insert_default().extend(volumes);
            let hosts = names.iter().map(|name| format!("{name}:127.0.0.1"));
            config.extra_hosts = Some(hosts.collect());
        }
        config
    }
}

/// Bounds what a container uses.
pub(super) fn limit(config: &mut HostConfig, limits: &Limits, host: &Host) {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    config.memory = limits.memory.map(number);
    // As much as memory: nothing is swapped.
    config.memory_swap = config.memory.filter(|_| host.limits_swap);
    config.nano_cpus = limits
        .cpu_millis
        .map(|millis| number(millis.saturating_mul(1_000_000)));
    config.pids_limit = limits.pids.map(number);
    config.shm_size = shared_memory(limits, host).map(number);
    if let Some(bytes) = limits.storage.filter(|_| host.limits_storage) {
        config.storage_opt = Some(HashMap::from([("size".to_owned(), bytes.to_string())]));
    }
}

/// Takes from a container what no job needs. The Engine's seccomp profile and user namespace stay.
pub(super) fn confine(config: &mut HostConfig, privileges: &Privileges) {
    config.cap_drop = Some(vec!["ALL".to_owned()]);
    config.cap_add = Some(CAPABILITIES.map(str::to_owned).to_vec());
    if !privileges.sudo {
        config.security_opt = Some(vec!["no-new-privileges".to_owned()]);
    }
}

/// The volume with the program.
pub(super) fn program_mount(program: &Program, read_only: bool) -> Mount {
    Mount {
        target: Some(ROOT.to_owned()),
        source: Some(program.volume().to_owned()),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            labels: Some(HashMap::from([(
                "outrider.program".to_owned(),
                program.hash().to_owned(),
            )])),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

/// A volume that goes with its container.
fn anonymous_volume(path: &str) -> Mount {
    Mount {
        target: Some(path.to_owned()),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    }
}

fn scratch(podman: bool) -> HashMap<String, String> {
    // Podman copies into them what the image has there, and without root it often cannot.
    let options = match podman {
        true => "rw,exec,nosuid,nodev,mode=1777,notmpcopyup",
        false => "rw,exec,nosuid,nodev,mode=1777",
    };
    SCRATCH
        .map(|path| (path.to_owned(), options.to_owned()))
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(privileges: Privileges) -> HostConfig {
        let program = Program::for_tests();
        let recipe = Recipe {
            image: "image".to_owned(),
            limits: Limits {
                cpu_millis: Some(1_500),
                memory: Some(1 << 30),
                storage: Some(5 << 30),
                pids: Some(100),
            },
            socket: None,
            writable: vec!["/root".to_owned()],
            names: vec!["store".to_owned()],
        };
        let host = Host {
            limits_swap: true,
            ..Host::default()
        };
        let primary = Primary {
            recipe: &recipe,
            program: &program,
            labels: HashMap::new(),
            host: &host,
            privileges: &privileges,
            podman: false,
        };
        primary.body().host_config.expect("there is one")
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_said() {
        let config = config(Privileges::default());
        assert_eq!(config.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(
            config.security_opt,
            Some(vec!["no-new-privileges".to_owned()])
        );
        assert_eq!((config.binds, config.privileged), (None, None));
        assert_eq!((config.userns_mode, config.readonly_rootfs), (None, None));
    }

    #[test]
    fn limits_are_the_engines_and_nothing_is_swapped() {
        let config = config(Privileges::default());
        assert_eq!(config.memory, Some(1 << 30));
        assert_eq!(config.memory_swap, config.memory);
        assert_eq!(config.nano_cpus, Some(1_500_000_000));
        assert_eq!(
            (config.pids_limit, config.shm_size),
            (Some(100), Some(1 << 29))
        );
        assert_eq!(config.storage_opt, None, "the driver cannot");
    }

    #[test]
    fn a_read_only_root_has_places_to_write() {
        let config = config(Privileges {
            read_only_root: true,
            sudo: true,
            ..Privileges::default()
        });
        assert_eq!(
            (config.readonly_rootfs, config.security_opt),
            (Some(true), None)
        );
        let targets: Vec<_> = config
            .mounts
            .iter()
            .flatten()
            .map(|mount| &mount.target)
            .collect();
        assert_eq!(targets, [&Some(ROOT.to_owned()), &Some("/root".to_owned())]);
        assert!(config.tmpfs.is_some_and(|tmpfs| tmpfs.contains_key("/tmp")));
    }
}
