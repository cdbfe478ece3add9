//! The figures during a run.

use std::process::{Command, Output};

use lacewing_client::Version;

use super::server;

/// Runs the program on a terminal, whose screen is the output.
fn on_terminal(variables: &[(&str, &str)], args: &str) -> Output {
    let program = format!("{} load {args}", env!("CARGO_BIN_EXE_lacewing"));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &program, "/dev/null"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    for (name, value) in variables {
        command.env(name, value);
    }
    command.output().unwrap()
}

#[test]
fn a_terminal_shows_the_figures_and_then_the_report() {
    let url = format!("http://{}/hello", server(Version::Http2));
    for variables in [&[][..], &[("NO_COLOR", "1")]] {
        let output = on_terminal(variables, &format!("-D 1s -m 2 {url}"));
        let screen = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{screen}");
        let (live, report) = screen.split_once("closed loop").unwrap();
        for figure in ["/s, ", " answered, 0 failed, ", " connections, p50 "] {
            assert!(live.contains(figure), "{figure}: {screen}");
        }
        assert!(report.contains("service time"), "{screen}");
        // The line is gone from the report, and has no colours.
        assert!(!report.contains('\x1b'), "{screen:?}");
        assert!(
            !screen.contains("\x1b[3") && !screen.contains("\x1b[1m"),
            "{screen:?}"
        );
    }
}

#[test]
fn nothing_is_shown_where_it_is_not_wanted() {
    let url = format!("http://{}/hello", server(Version::Http2));
    for (variables, option) in [(&[][..], "--no-live"), (&[("TERM", "dumb")], "")] {
        let output = on_terminal(variables, &format!("-n 10 {option} {url}"));
        let screen = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{screen}");
        assert!(screen.starts_with("lacewing "), "{screen:?}");
        assert!(!screen.contains('\x1b'), "{screen:?}");
    }
}
