//! The published packages, and their contents: only the files that users need.

use crate::shell;
use std::time::SystemTime;

/// The published crates, lowest layer first.
pub(crate) const LIBRARIES: [&str; 8] = [
    "lacewing-hpack",
    "lacewing-spdy-zlib",
    "lacewing-frames",
    "lacewing-conn",
    "lacewing-kube",
    "lacewing-server",
    "lacewing-client",
    "lacewing-conform",
];

/// The published programs.
pub(crate) const PROGRAMS: [&str; 2] = ["lacewing", "lacewingd"];

/// The largest size of a package, in bytes. The sources of lacewing-conn have 1 MiB; a corpus or a
/// picture that got into a package exceeds this.
const MAX_BYTES: u64 = 5 << 18;

/// The files of a package.
const WANTED: [&str; 2] = ["src/", "examples/"];

/// A complaint for each package that is too large, or contains files that only this repository
/// needs.
pub(crate) fn check() -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for package in LIBRARIES.into_iter().chain(PROGRAMS) {
        let mut list = shell::cargo(["package", "--list", "--allow-dirty", "--package", package]);
        let list = shell::output(&mut list)?;
        let folder = shell::root().join(folder(package));
        let sizes = list.lines().map(|file| {
            let size = std::fs::metadata(folder.join(file)).map_or(0, |meta| meta.len());
            (file, size)
        });
        complaints.extend(judge(package, &sizes.collect::<Vec<_>>()));
    }
    Ok(complaints)
}

/// Builds each package from the files that it publishes, as `cargo publish` does before it uploads.
/// The other packages stand for those in the registry.
pub(crate) fn publish_dry_run() -> Result<(), String> {
    let mut publish = shell::cargo(["publish", "--dry-run", "--allow-dirty", "--quiet"]);
    for package in LIBRARIES.into_iter().chain(PROGRAMS) {
        publish.args(["--package", package]);
    }
    // Cargo unpacks a dependency once for each registry and version, and here the registry is a
    // folder of `--target-dir`. In the folder of an earlier run, a crate would be built against the
    // sources of that run. So each run has a folder of its own.
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    let folder = shell::target_dir().join(format!("publish-{}", since_1970.as_millis()));
    publish.arg("--target-dir").arg(&folder);
    let published = shell::run(&mut publish);
    let removed =
        std::fs::remove_dir_all(&folder).map_err(|e| format!("{}: {e}", folder.display()));
    published.and(removed)
}

/// The folder of a published package.
pub(crate) fn folder(package: &str) -> &str {
    match package {
        "lacewing" => "client/cli",
        "lacewingd" => "server/cli",
        "lacewing-conform" => "client/conform",
        "lacewing-kube" => "conn/kube",
        _ => package.strip_prefix("lacewing-").unwrap_or(package),
    }
}

fn judge(library: &str, files: &[(&str, u64)]) -> Vec<String> {
    let unwanted = files.iter().filter(|(file, _)| {
        file.contains('/') && !WANTED.iter().any(|folder| file.starts_with(folder))
    });
    let mut complaints: Vec<String> = unwanted
        .map(|(file, _)| format!("{library}: the package contains {file}: correct `include`"))
        .collect();
    let total: u64 = files.iter().map(|(_, size)| size).sum();
    if total > MAX_BYTES {
        let largest = files.iter().max_by_key(|(_, size)| size);
        let largest = largest.map_or("", |(file, _)| file);
        complaints.push(format!(
            "{library}: the package holds {total} bytes, over {MAX_BYTES}; the largest file is \
             {largest}"
        ));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_small_and_without_tests() {
        let good = [("Cargo.toml", 100), ("src/lib.rs", MAX_BYTES - 100)];
        assert!(judge("a", &good).is_empty());
        let large = [("Cargo.toml", 100), ("src/lib.rs", MAX_BYTES)];
        assert_eq!(judge("a", &large).len(), 1);
        let tests = [("tests/vectors/a.json", 1), ("fuzz/Cargo.toml", 1)];
        assert_eq!(judge("a", &tests).len(), 2);
    }
}
