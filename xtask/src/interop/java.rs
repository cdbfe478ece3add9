//! The programs of `xtask/peers/java`, against the libraries that the system's
//! packages have.

use super::fixture::Fixture;
use crate::shell;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The command of `program`, compiled from `sources` when first asked for.
pub(super) fn program(
    fixture: &Fixture,
    program: &str,
    sources: &[&str],
    libraries: &[&str],
) -> Result<Command, String> {
    let mut class_path = jars(libraries)?;
    let classes = fixture.folder().join("java");
    if !classes.join(format!("{program}.class")).is_file() {
        let folder = shell::root().join("xtask/peers/java");
        let mut javac = fixture.tool("javac")?;
        // Where no locale is set, Java takes sources for ASCII.
        javac.args(["-encoding", "UTF-8"]);
        javac.arg("-cp").arg(join(&class_path)).arg("-d");
        javac.arg(&classes);
        javac.args(
            sources
                .iter()
                .map(|name| folder.join(format!("{name}.java"))),
        );
        shell::output(&mut javac)?;
    }
    class_path.push(classes);
    let mut java = fixture.tool("java")?;
    java.args(["-XX:+UseSerialGC", "-Xmx256m", "-cp"]);
    java.arg(join(&class_path)).arg(program);
    Ok(java)
}

fn jars(libraries: &[&str]) -> Result<Vec<PathBuf>, String> {
    let jars = libraries.iter();
    jars.map(|name| {
        let jar = Path::new("/usr/share/java").join(format!("{name}.jar"));
        match jar.is_file() {
            true => Ok(jar),
            false => Err(format!("no {} (.ci/run installs it)", jar.display())),
        }
    })
    .collect()
}

fn join(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|path| path.to_string_lossy()).collect();
    paths.join(":")
}
