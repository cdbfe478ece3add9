//! `cargo xtask semver`: compares the public API of the libraries with that of an earlier revision.
//! There is no release to compare with, so git has the baseline.

use crate::{packages::LIBRARIES, shell};

/// The revision to compare with, and a part of the names of the packages.
#[derive(Debug, PartialEq, Eq)]
struct Comparison<'a> {
    since: &'a str,
    only: &'a str,
}

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    let comparison = parse(args)?;
    if shell::output(&mut shell::cargo(["semver-checks", "--version"])).is_err() {
        return Err(
            "needs cargo-semver-checks (cargo install cargo-semver-checks --locked)".into(),
        );
    }
    let mut checks = shell::cargo(["semver-checks", "--baseline-rev", comparison.since]);
    for package in packages(comparison.only)? {
        checks.args(["--package", package]);
    }
    shell::run(&mut checks)
}

fn parse(args: &[String]) -> Result<Comparison<'_>, String> {
    let (mut since, mut only) = (None, "");
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut value = || match args.next() {
            Some(value) if !value.starts_with('-') => Ok(value.as_str()),
            _ => Err(format!("{arg} needs a value")),
        };
        match arg.as_str() {
            "--since" => since = Some(value()?),
            "--only" => only = value()?,
            other => return Err(format!("no option `{other}`")),
        }
    }
    let since = since.ok_or("needs --since REV: the revision of git to compare with")?;
    Ok(Comparison { since, only })
}

fn packages(only: &str) -> Result<Vec<&'static str>, String> {
    let chosen = LIBRARIES.into_iter().filter(|name| name.contains(only));
    let chosen: Vec<_> = chosen.collect();
    match chosen.is_empty() {
        true => Err(format!("no library has {only:?} in its name")),
        false => Ok(chosen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(String, String), String> {
        let args: Vec<String> = line.split_whitespace().map(String::from).collect();
        let comparison = parse(&args)?;
        Ok((comparison.since.into(), comparison.only.into()))
    }

    #[test]
    fn a_revision_is_needed_and_packages_may_be_chosen() {
        assert_eq!(parsed("--since HEAD~5"), Ok(("HEAD~5".into(), "".into())));
        let chosen = parsed("--only hpack --since v0.1.0");
        assert_eq!(chosen, Ok(("v0.1.0".into(), "hpack".into())));
        for (line, named) in [
            ("", "--since REV"),
            ("--only hpack", "--since REV"),
            ("--since", "--since needs a value"),
            ("--since --only hpack", "--since needs a value"),
            ("HEAD", "`HEAD`"),
        ] {
            let error = parsed(line).unwrap_err();
            assert!(error.contains(named), "{line}: {error}");
        }
        assert_eq!(packages("hpack"), Ok(vec!["lacewing-hpack"]));
        assert_eq!(packages("").map(|all| all.len()), Ok(LIBRARIES.len()));
        assert!(packages("nothing").is_err());
    }
}
