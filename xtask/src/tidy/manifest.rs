//! The rules on `Cargo.toml`, read line by line. Our manifests are simple enough for this; if one
//! is not, the rule reports it.

use super::{File, PUBLISHED};

/// Each feature of a published crate has a `##` comment that describes its effect.
pub(super) fn features_documented(file: &File) -> Vec<String> {
    let published = PUBLISHED
        .iter()
        .any(|krate| file.path == format!("{krate}/Cargo.toml"));
    if !published {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    let mut documented = false;
    for (number, section, line) in entries(&file.text) {
        if section != "features" {
            continue;
        }
        if line.starts_with('#') {
            documented = line.starts_with("## ");
            continue;
        }
        if let Some((name, _)) = line.split_once('=') {
            let name = name.trim();
            if name != "default" && !documented {
                let what = format!("feature `{name}` has no `##` comment that says what it adds");
                complaints.push(file.complaint(number, &what));
            }
        }
        documented = false;
    }
    complaints
}

/// Each version is written once, in the workspace.
pub(super) fn dependencies_inherited(file: &File) -> Vec<String> {
    // A package that is a workspace of its own (a fuzz target, a build for a test) cannot inherit
    // versions.
    let own_workspace = file.text.lines().any(|line| line.trim() == "[workspace]");
    let member = file.path.ends_with("/Cargo.toml") && !own_workspace;
    if !member {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, section, line) in entries(&file.text) {
        let last = section.rsplit('.').next().unwrap_or(section);
        let is_dependencies = last.ends_with("dependencies");
        if !is_dependencies || line.starts_with('#') || !line.contains('=') {
            continue;
        }
        let inherited = line.contains(".workspace = true") || line.contains("workspace = true");
        if !inherited {
            let what = "take the version from [workspace.dependencies] (`workspace = true`)";
            complaints.push(file.complaint(number, what));
        }
    }
    complaints
}

/// The number, section and text of every line that is not empty.
fn entries(text: &str) -> impl Iterator<Item = (usize, &str, &str)> {
    let mut section = "";
    text.lines().enumerate().filter_map(move |(index, line)| {
        let line = line.trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.trim_matches(['[', ']']);
            return None;
        }
        (!line.is_empty()).then_some((index + 1, section, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(text: &str) -> File {
        File {
            path: "hpack/Cargo.toml".into(),
            text: text.into(),
        }
    }

    #[test]
    fn features_say_what_they_add() {
        let good = "[features]\ndefault = [\"a\"]\n## Adds a.\na = []\n";
        assert!(features_documented(&manifest(good)).is_empty());
        let bad = "[features]\n## Adds a.\na = []\nb = []\n# no\nc = []\n";
        assert_eq!(features_documented(&manifest(bad)).len(), 2);
    }

    #[test]
    fn versions_stand_in_the_workspace() {
        let text = "[dependencies]\na.workspace = true\nb = { workspace = true }\nc = \"1\"\n\
                    [target.'cfg(unix)'.dev-dependencies]\nd = { version = \"1\" }\n\
                    [features]\ne = []\n";
        let found = dependencies_inherited(&manifest(text));
        assert_eq!(found.len(), 2, "{found:?}");
        let alone = manifest(&format!("[workspace]\n{text}"));
        assert!(dependencies_inherited(&alone).is_empty());
    }
}
