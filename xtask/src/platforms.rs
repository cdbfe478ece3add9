//! `cargo xtask platforms`: compiles for the oldest Rust that the libraries promise, and for other
//! systems: the codecs for WebAssembly, the libraries and programs for Windows, the libraries for
//! macOS. Nothing runs there. A toolchain or a target that is absent is left out, and the table says
//! so; `.ci/run` installs them.

use crate::packages::LIBRARIES;
use crate::report::Report;
use crate::shell;
use std::process::Command;

/// A system, and what compiles for it.
struct Platform {
    target: &'static str,
    /// The C compiler that ring needs there.
    compiler: Option<&'static str>,
    /// Packages, with their features.
    packages: &'static [(&'static str, &'static str)],
}

const PLATFORMS: [Platform; 3] = [
    Platform {
        target: "wasm32-unknown-unknown",
        compiler: None,
        packages: &[
            ("lacewing-hpack", ""),
            ("lacewing-spdy-zlib", ""),
            ("lacewing-frames", ""),
        ],
    },
    Platform {
        target: "x86_64-pc-windows-gnu",
        compiler: Some("x86_64-w64-mingw32-gcc"),
        packages: &[
            ("lacewing-conn", "upgrade"),
            ("lacewing-kube", "server,cri,client,cp,websocket"),
            ("lacewing-server", "tls,http1,axum,tracing,metrics"),
            (
                "lacewing-client",
                "tls,platform-roots,h2c,http1,tracing,metrics",
            ),
            ("lacewing-conform", ""),
            ("lacewing", ""),
            ("lacewingd", "jemalloc"),
        ],
    },
    // Without TLS: ring's C code needs Apple's headers.
    Platform {
        target: "aarch64-apple-darwin",
        compiler: None,
        packages: &[
            ("lacewing-conn", "upgrade"),
            ("lacewing-kube", "server,cri,process,client,cp,websocket"),
            ("lacewing-server", "http1,axum,tracing,metrics"),
            ("lacewing-client", "h2c,http1,tracing,metrics"),
            ("lacewing-conform", ""),
        ],
    },
];

pub(crate) fn run(args: &[String]) -> Result<(), String> {
    if let Some(arg) = args.first() {
        return Err(format!("`platforms` takes no argument, got `{arg}`"));
    }
    let mut report = Report::default();
    let mut failed: Vec<String> = Vec::new();
    failed.extend(oldest_rust(&mut report).err());
    for platform in &PLATFORMS {
        failed.extend(platform.check(&mut report).err());
    }
    say!("\n{report}");
    if failed.is_empty() {
        Ok(())
    } else {
        Err(failed.join("\n"))
    }
}

/// Checks the libraries, with their default features, by the `rust-version` of the workspace.
fn oldest_rust(report: &mut Report) -> Result<(), String> {
    let manifest = shell::root().join("Cargo.toml");
    let text =
        std::fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    let version = rust_version(&text).ok_or("Cargo.toml: no `rust-version`")?;
    let what = format!("the libraries by Rust {version}");
    let mut rustc = Command::new("rustup");
    rustc.args(["run", &version, "rustc", "--version"]);
    if shell::output(&mut rustc).is_err() {
        let why = format!("not installed (rustup toolchain install {version} --profile minimal)");
        report.left_out(&what, &why);
        return Ok(());
    }
    for library in LIBRARIES {
        let mut check = Command::new("rustup");
        check.args([
            "run",
            &version,
            "cargo",
            "check",
            "--quiet",
            "--package",
            library,
        ]);
        // This process runs under another toolchain's cargo, which names its own compiler.
        for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
            check.env_remove(variable);
        }
        shell::run(in_own_folder(&mut check, &version).current_dir(shell::root()))?;
    }
    report.ran(&what, "default features");
    Ok(())
}

impl Platform {
    fn check(&self, report: &mut Report) -> Result<(), String> {
        let what = format!("{} packages for {}", self.packages.len(), self.target);
        if !shell::has_target(self.target) {
            let why = format!("target not installed (rustup target add {})", self.target);
            report.left_out(&what, &why);
            return Ok(());
        }
        if let Some(compiler) = self.compiler.filter(|compiler| !shell::exists(compiler)) {
            report.left_out(&what, &format!("`{compiler}` is not installed"));
            return Ok(());
        }
        for (package, features) in self.packages {
            let mut check = shell::cargo(["check", "--quiet", "--target", self.target]);
            check.args(["--package", package, "--features", features]);
            shell::run(in_own_folder(&mut check, self.target))?;
        }
        report.ran(&what, "compiled, not run");
        Ok(())
    }
}

/// Keeps the build apart from the others, whose cargo may wait for it.
fn in_own_folder<'a>(command: &'a mut Command, name: &str) -> &'a mut Command {
    let folder = shell::target_dir().join("platforms").join(name);
    command.arg("--target-dir").arg(folder)
}

/// The version in `rust-version = "…"` of `[workspace.package]`.
fn rust_version(manifest: &str) -> Option<String> {
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))?;
    Some(line.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::rust_version;

    #[test]
    fn the_version_is_that_of_the_workspace() {
        let manifest = "[workspace.package]\nedition = \"2024\"\nrust-version = \"1.85\"\n";
        assert_eq!(rust_version(manifest).as_deref(), Some("1.85"));
        assert_eq!(rust_version("[package]\nname = \"a\"\n"), None);
    }
}
