//! Whether the kernel has ended processes because there was no memory left.

use std::fs::read_to_string;

use crate::cgroup::{Tree, locate};

/// Who counts: with version 2 of cgroups, and with version 1. Hybrid hosts have both trees, but
/// memory is in one of them only.
const COUNTERS: [(Tree<'_>, &str); 2] = [
    (Tree::Unified, "memory.events"),
    (Tree::Of("memory"), "memory.oom_control"),
];

/// How many processes of the container the kernel has ended. Always 0 where it does not tell.
pub(super) fn killed() -> u64 {
    let read = |path| read_to_string(path).unwrap_or_default();
    killed_in(&read("/proc/self/mountinfo"), &read("/proc/self/cgroup"))
}

fn killed_in(mounts: &str, cgroups: &str) -> u64 {
    let mut counts = COUNTERS.iter().filter_map(|&(tree, file)| {
        let cgroup = locate(mounts, cgroups, tree)?;
        count(&read_to_string(cgroup.join(file)).ok()?)
    });
    counts.next().unwrap_or(0)
}

fn count(text: &str) -> Option<u64> {
    let mut counters = text.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = counters.find(|(name, _)| *name == "oom_kill")?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    const EVENTS: &str = "low 0\nhigh 0\nmax 37\noom 2\noom_kill 1\noom_group_kill 0\n";
    const CONTROL: &str = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";

    /// A place for cgroups with one file in it.
    fn tree(file: &str, text: &str) -> (TempDir, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join(file);
        fs::create_dir_all(file.parent().expect("it has one")).expect("made");
        fs::write(file, text).expect("written");
        let point = folder.path().display().to_string();
        (folder, point)
    }

    fn unified(root: &str, point: &str) -> String {
        format!("31 30 0:27 {root} {point} ro - cgroup2 cgroup rw\n")
    }

    #[test]
    fn a_container_of_version_2_sees_its_own_cgroup_as_the_root() {
        let (_folder, point) = tree("memory.events", EVENTS);
        assert_eq!(killed_in(&unified("/", &point), "0::/\n"), 1);
    }

    #[test]
    fn without_a_namespace_of_cgroups_it_is_below_that_of_the_host() {
        let (_folder, point) = tree("system.slice/docker-ab.scope/memory.events", EVENTS);
        let own = "0::/system.slice/docker-ab.scope\n";
        assert_eq!(killed_in(&unified("/", &point), own), 1);
    }

    #[test]
    fn a_hybrid_host_counts_in_the_tree_that_has_memory() {
        let (_one, memory) = tree("memory.oom_control", CONTROL);
        let (_two, empty) = tree("cgroup.procs", "1\n");
        let mounts = format!(
            "{}32 30 0:28 /docker/ab {memory} ro - cgroup cgroup rw,memory\n",
            unified("/docker/ab", &empty)
        );
        let own = "4:memory:/docker/ab\n0::/docker/ab\n";
        assert_eq!(killed_in(&mounts, own), 3);
    }

    #[test]
    fn nothing_is_counted_where_nobody_counts() {
        assert_eq!(killed_in("", ""), 0);
        let (_folder, point) = tree("memory.events", "low 0\n");
        assert_eq!(killed_in(&unified("/", &point), "0::/\n"), 0);
    }
}
