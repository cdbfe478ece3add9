//! `lacewing kube` against an API server of lacewing-kube, over TCP and TLS.

mod api;
mod commands;
mod config;
mod copies;
mod forwards;

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use self::api::Api;

/// The program, with nothing of this machine's own configuration.
fn lacewing(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.arg("kube").args(arguments).stdin(Stdio::null());
    command
        .env_remove("KUBECONFIG")
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// The program's output, against a server without TLS.
fn run(api: &Api, arguments: &[&str]) -> Output {
    run_with_input(&mut at(api, arguments), b"")
}

fn at(api: &Api, arguments: &[&str]) -> Command {
    lacewing(&[&["--server", &api.url()], arguments].concat())
}

fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // The program may end first.
            let _ = stdin.write_all(input);
        });
        child.wait_with_output().unwrap()
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Expects an exit code, and nothing but these texts.
fn expect(output: &Output, code: i32, stdout: &str, stderr: &str) {
    assert_eq!(
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr)
        ),
        (Some(code), stdout.to_owned(), stderr.to_owned())
    );
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("kube")
        .join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}
