//! Completions and manual pages.

use super::lacewing::{ended, run};

const COMMANDS: [&str; 9] = [
    "get", "load", "conform", "tap", "decode", "probe", "ping", "mux", "headers",
];

#[test]
fn completions_know_the_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (code, out, said) = ended(&run(&["--completions", shell]));
        assert_eq!((code, said.as_str()), (Some(0), ""), "{shell}");
        for name in COMMANDS.iter().chain(&["waterfall", "max-waiting"]) {
            assert!(out.contains(name), "{shell}: {name}");
        }
    }
}

#[test]
fn each_command_has_a_page_that_ends_in_its_exit_codes_or_examples() {
    let (code, out, _) = ended(&run(&["--man"]));
    assert_eq!(code, Some(0));
    assert!(out.contains(".TH lacewing 1"), "{out:.200}");
    for command in COMMANDS {
        let (code, out, said) = ended(&run(&[&format!("--man={command}")]));
        assert_eq!(code, Some(0), "{said}");
        assert!(
            out.contains(&format!(".TH lacewing-{command} 1")),
            "{out:.200}"
        );
        assert!(out.contains("SYNOPSIS"), "{command}");
        assert!(
            out.contains("Exit codes") || out.contains("Examples:"),
            "{command}"
        );
    }
    let (code, _, said) = ended(&run(&["--man=nothing"]));
    assert_eq!(code, Some(2));
    assert!(said.contains("none of get, load"), "{said}");
}

#[test]
fn the_program_alone_is_a_mistake_that_shows_the_help() {
    let (code, out, said) = ended(&run(&[]));
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        said.contains("Usage: lacewing") && said.contains("lacewing get --help"),
        "{said}"
    );
    let (code, out, _) = ended(&run(&["--help"]));
    assert_eq!(code, Some(0));
    assert!(out.trim_end().ends_with("man -l -"), "{out}");
}
