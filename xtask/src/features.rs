//! The features that this machine can build. Only `npn` needs a library of the system: OpenSSL with
//! its headers.

use crate::shell;
use std::path::Path;
use std::process::{Command, Stdio};

/// The reason why `npn` cannot be built; `None` if it can. Searches as `openssl-sys` does.
pub(crate) fn missing_openssl() -> Option<String> {
    let named = ["OPENSSL_DIR", "OPENSSL_LIB_DIR"];
    if named.into_iter().any(|key| std::env::var_os(key).is_some()) {
        return None;
    }
    let brewed = ["/opt/homebrew/opt/openssl@3", "/usr/local/opt/openssl@3"];
    if cfg!(target_os = "macos") && brewed.into_iter().any(|dir| Path::new(dir).is_dir()) {
        return None;
    }
    if !shell::exists("pkg-config") {
        return Some("no `pkg-config` to find OpenSSL with (libssl-dev, pkg-config)".into());
    }
    let found = Command::new("pkg-config")
        .args(["--exists", "openssl >= 1.1.1"])
        .stderr(Stdio::null())
        .status();
    match found {
        Ok(status) if status.success() => None,
        _ => Some("`pkg-config` finds no OpenSSL with headers (libssl-dev)".into()),
    }
}

/// Every feature of every member, as `package/feature`, except for those that need OpenSSL.
pub(crate) fn without_npn(root: &Path) -> Result<Vec<String>, String> {
    let read = |path: &Path| {
        let path = path.join("Cargo.toml");
        std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
    };
    let mut features = Vec::new();
    for member in members(&read(root)?) {
        features.extend(of_manifest(&read(&root.join(member))?));
    }
    Ok(features)
}

/// The folders in `members` of the workspace's manifest.
fn members(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|line| !line.starts_with("members = ["))
        .skip(1)
        .take_while(|line| !line.starts_with(']'))
        .filter_map(|line| line.trim().strip_prefix('"')?.split('"').next())
        .collect()
}

fn of_manifest(manifest: &str) -> Vec<String> {
    let mut section = "";
    let mut package = "";
    let mut features: Vec<(&str, &str)> = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line;
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim(), value.trim());
            match section {
                "[package]" if key == "name" => package = value.trim_matches('"'),
                "[features]" if !line.starts_with('#') => features.push((key, value)),
                _ => {}
            }
        }
    }
    features
        .into_iter()
        .filter(|(name, enables)| *name != "npn" && !enables.contains("npn\""))
        .map(|(name, _)| format!("{package}/{name}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_need_openssl_are_left_out() {
        let manifest = "[package]\nname = \"a\"\n[features]\ndefault = [\"b\"]\n## B.\nb = []\n\
                        ## N.\nnpn = [\"dep:openssl\"]\n## C.\nc = [\"b\", \"npn\"]\n\
                        ## D.\nd = [\"conn/npn\"]\n[dependencies]\ne = \"1\"\n";
        assert_eq!(of_manifest(manifest), ["a/default", "a/b"]);
    }

    #[test]
    fn every_member_is_read() {
        let features = without_npn(&shell::root()).unwrap();
        for feature in ["lacewing-frames/spdy", "lacewing-server/tls"] {
            assert!(features.iter().any(|name| name == feature), "{features:?}");
        }
        assert!(!features.iter().any(|name| name.ends_with("/npn")));
    }
}
