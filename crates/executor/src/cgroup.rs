//! Where the cgroup of this process is, whatever the host's cgroups are: of version 1, of version 2,
//! or hybrid, and in whichever cgroup namespace this process runs.

use std::path::{Path, PathBuf};

/// One hierarchy of cgroups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tree<'a> {
    /// That of version 2.
    Unified,
    /// The one of version 1 that has this controller.
    Of(&'a str),
}

impl Tree<'_> {
    /// Our path in it, from `/proc/self/cgroup`: the lines are `0::PATH` and `N:CONTROLLER,…:PATH`.
    fn own(self, cgroups: &str) -> Option<&Path> {
        let paths = cgroups.lines().filter_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let is_it = match self {
                Self::Unified => controllers.is_empty(),
                Self::Of(name) => controllers.split(',').any(|it| it == name),
            };
            is_it.then_some(Path::new(path))
        });
        paths.into_iter().next()
    }

    /// Whether it is mounted here: the end of a line of proc_pid_mountinfo(5).
    fn is_at(self, filesystem: &str) -> bool {
        let mut fields = filesystem.split(' ');
        match (self, fields.next(), fields.nth(1)) {
            (Self::Unified, Some("cgroup2"), _) => true,
            (Self::Of(name), Some("cgroup"), Some(options)) => {
                options.split(',').any(|it| it == name)
            }
            _ => false,
        }
    }
}

/// Joins where a hierarchy is mounted (`mounts` is `/proc/self/mountinfo`) with where we are in it
/// (`cgroups` is `/proc/self/cgroup`). A mount may show only a part of the tree.
pub(crate) fn locate(mounts: &str, cgroups: &str, tree: Tree<'_>) -> Option<PathBuf> {
    let own = tree.own(cgroups)?;
    mounts.lines().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        if !tree.is_at(filesystem) {
            return None;
        }
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        let below = own
            .strip_prefix(root)
            .or_else(|_| own.strip_prefix("/"))
            .ok()?;
        Some(if below.as_os_str().is_empty() {
            point.into()
        } else {
            Path::new(point).join(below)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
30 24 0:26 / /sys/fs/cgroup ro,nosuid shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw,nosuid shared:11 - cgroup cgroup rw,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:12 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw,nosuid shared:13 - cgroup cgroup rw,memory";
    /// As a container sees its own, without a namespace of cgroups.
    const PART: &str = "31 30 0:27 /docker/ab /sys/fs/cgroup rw - cgroup2 cgroup2 rw";

    fn at(mounts: &str, cgroups: &str, tree: Tree<'_>) -> Option<String> {
        locate(mounts, cgroups, tree).map(|path| path.display().to_string())
    }

    #[test]
    fn our_cgroup_of_version_2_is_found_below_its_mount() {
        let unified = |mounts, cgroups| at(mounts, cgroups, Tree::Unified);
        let root = unified(HYBRID, "4:memory:/a\n0::/\n");
        assert_eq!(root.as_deref(), Some("/sys/fs/cgroup/unified"));
        let below = unified(HYBRID, "0::/user.slice/x");
        assert_eq!(
            below.as_deref(),
            Some("/sys/fs/cgroup/unified/user.slice/x")
        );
        let part = unified(PART, "0::/docker/ab/c");
        assert_eq!(part.as_deref(), Some("/sys/fs/cgroup/c"));
        assert_eq!(unified(PART, "4:memory:/a"), None);
        assert_eq!(unified("", "0::/"), None);
    }

    #[test]
    fn our_cgroup_of_version_1_is_found_by_its_controller() {
        let cgroups = "5:memory:/docker/ab\n4:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n";
        let of = |mounts, name| at(mounts, cgroups, Tree::Of(name));
        let host = of(HYBRID, "memory");
        assert_eq!(host.as_deref(), Some("/sys/fs/cgroup/memory/docker/ab"));
        let both = of(HYBRID, "cpuacct");
        assert_eq!(both.as_deref(), Some("/sys/fs/cgroup/cpu,cpuacct"));
        let part = "34 30 0:30 /docker/ab /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory";
        let own = of(part, "memory");
        assert_eq!(own.as_deref(), Some("/sys/fs/cgroup/memory"));
        assert_eq!(of(PART, "memory"), None, "only version 2 is mounted");
        assert_eq!(of(HYBRID, "pids"), None);
    }
}
