//! Whether the kernel has ended processes because there was no memory left.

/// Where the counter is: with version 2 of cgroups, and with version 1.
const FILES: [&str; 2] = [
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
];

/// How many processes of the container the kernel has ended. Always 0 where it does not tell.
pub(super) fn killed() -> u64 {
    let mut files = FILES
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok());
    files.find_map(|text| count(&text)).unwrap_or(0)
}

fn count(text: &str) -> Option<u64> {
    let mut counters = text.lines().filter_map(|line| line.split_once(' '));
    let (_, count) = counters.find(|(name, _)| *name == "oom_kill")?;
    count.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_have_the_counter() {
        let two = "low 0\nhigh 0\nmax 37\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(count(two), Some(1));
        assert_eq!(
            count("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"),
            Some(3)
        );
        assert_eq!(count("oom_kill_disable 0\n"), None);
    }
}
