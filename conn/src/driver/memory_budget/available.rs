//! The memory that this process may use.

use std::{fs, path::Path};

/// The machine's memory, or the limit of a control group if that is less. `None`
/// where the system does not say.
pub(super) fn memory() -> Option<usize> {
    let machine = fs::read_to_string("/proc/meminfo");
    let machine = machine.ok().and_then(|text| total(&text));
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = groups.lines().flat_map(limit_files);
    let limits = limits.filter_map(|file| limit(&fs::read_to_string(file).ok()?));
    machine.into_iter().chain(limits).min()
}

/// The bytes that `MemTotal` names in KiB.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
    kib.checked_mul(1024)
}

/// The files that limit a control group and those around it. A container sees its
/// own group at the root.
fn limit_files(line: &str) -> Vec<String> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (root, name) = if controllers.is_empty() {
        ("/sys/fs/cgroup", "memory.max")
    } else if controllers.split(',').any(|one| one == "memory") {
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
    } else {
        return Vec::new();
    };
    let groups = Path::new(path).ancestors();
    groups
        .map(|group| {
            format!(
                "{root}{}/{name}",
                group.display().to_string().trim_end_matches('/')
            )
        })
        .collect()
}

/// The bytes of a limit; `None` for "max" and 0, which stand for no limit.
fn limit(text: &str) -> Option<usize> {
    let bytes = text.trim().parse().ok()?;
    (bytes > 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_s_memory_is_in_kib() {
        let text = "MemTotal:       24683328 kB\nMemFree:  2498560 kB\n";
        assert_eq!(total(text), Some(24_683_328 << 10));
        assert_eq!(total("MemFree: 1 kB\n"), None);
    }

    #[test]
    fn groups_of_both_kinds_have_their_files() {
        assert_eq!(
            limit_files("0::/user.slice/app"),
            [
                "/sys/fs/cgroup/user.slice/app/memory.max",
                "/sys/fs/cgroup/user.slice/memory.max",
                "/sys/fs/cgroup/memory.max",
            ]
        );
        assert_eq!(
            limit_files("9:cpu,memory:/docker"),
            [
                "/sys/fs/cgroup/memory/docker/memory.limit_in_bytes",
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            ]
        );
        assert!(limit_files("8:cpuset:/docker").is_empty());
        assert!(limit_files("nonsense").is_empty());
    }

    #[test]
    fn a_limit_is_a_number() {
        assert_eq!(limit("104857600\n"), Some(100 << 20));
        assert_eq!(limit("max\n"), None);
    }
}
