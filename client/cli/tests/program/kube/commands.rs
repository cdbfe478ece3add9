//! `exec` and `attach`.

use std::{
    io::{Read as _, Write as _},
    process::Stdio,
};

use super::*;

const TRANSPORTS: [&str; 4] = ["auto", "websocket", "spdy", "http2"];

#[test]
fn outputs_are_apart_and_the_exit_code_is_the_commands() {
    let api = Api::new();
    for transport in TRANSPORTS {
        for code in [0, 3, 137, 255] {
            let script = format!("echo out; echo err >&2; exit {code}");
            let arguments = ["exec", "mypod", "--transport", transport];
            let output = run(
                &api,
                &[&arguments[..], &["--", "sh", "-c", &script]].concat(),
            );
            let note = match code {
                0 => String::new(),
                code => format!("command terminated with exit code {code}\n"),
            };
            expect(&output, code, "out\n", &format!("err\n{note}"));
        }
    }
}

#[test]
fn stdin_goes_in_only_if_asked_for() {
    let api = Api::new();
    let input: Vec<u8> = (0..3_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    for transport in TRANSPORTS {
        for (option, expected) in [(Some("-i"), &input[..]), (None, b"")] {
            let mut arguments = vec!["exec", "pod/mypod", "--transport", transport];
            arguments.extend(option);
            arguments.extend(["--", "cat"]);
            let output = run_with_input(&mut at(&api, &arguments), &input);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
            assert!(output.stdout == expected, "{transport}");
        }
    }
    // A command that ends before it has read its stdin.
    let mut command = at(&api, &["exec", "-i", "mypod", "--", "sh", "-c", "exit 4"]);
    let output = run_with_input(&mut command, &input);
    assert_eq!(output.status.code(), Some(4));
}

#[test]
fn attach_has_the_streams_of_the_process() {
    let api = Api::new();
    let mut command = at(&api, &["attach", "-i", "mypod"]);
    let output = run_with_input(&mut command, b"to the process");
    expect(&output, 0, "attached\nto the process", "");
}

/// A server that does not know the name of the upgrade: the user learns of the transport that it
/// has.
#[test]
fn a_server_without_http2_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = std::thread::spawn(move || {
        let (mut io, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            io.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let text = "unable to upgrade: missing upgrade headers in request: http.Header{}\n";
        let length = text.len();
        write!(
            io,
            "HTTP/1.1 400 Bad Request\r\nContent-Length: {length}\r\n\r\n{text}"
        )
        .unwrap();
    });
    let ask = ["--server", &url, "exec", "mypod", "--transport", "http2"];
    let output = run_with_input(&mut lacewing(&[&ask[..], &["--", "true"]].concat()), b"");
    serving.join().unwrap();
    let error = text(&output.stderr);
    assert!(error.contains("missing upgrade headers"), "{error}");
    assert!(error.contains("try --transport spdy"), "{error}");
}

#[test]
fn failures_are_in_kubectls_words() {
    let api = Api::new();
    let output = run(&api, &["exec", "other", "--", "true"]);
    let text = "error: unable to upgrade connection: pods \"other\" not found (404 Not Found); \
                check the name, --namespace and --context\n";
    expect(&output, 1, "", text);
    let output = run(&api, &["exec", "mypod", "--", "no-such-program"]);
    let text = "error: cannot start no-such-program: No such file or directory (os error 2)\n";
    expect(&output, 1, "", text);
    for (arguments, code) in [
        (&["exec", "mypod"][..], 2),
        (&["exec", "deploy/x", "--", "true"], 2),
        (&["port-forward", "mypod", "0"], 2),
    ] {
        let output = run(&api, arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    // Nobody listens.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let mut command = lacewing(&["exec", "mypod", "--server", &url, "--", "true"]);
    let output = command.output().unwrap();
    let stderr = super::text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.starts_with("error: unable to connect to the server: "),
        "{stderr}"
    );
}

/// `lacewing kube exec … | head` ends.
#[test]
fn a_reader_that_leaves_ends_the_program() {
    let api = Api::new();
    let mut child = at(&api, &["exec", "mypod", "--", "yes"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10_000]).unwrap();
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// `script` gives the program a terminal, whose mode is the same afterwards.
#[test]
fn a_terminal_is_raw_for_the_command_and_restored() {
    let folder = scratch("terminal");
    let shown = in_terminal(
        &folder,
        "echo raw > raw; stty rows 34 cols 100 < /dev/tty",
        "$EXEC",
    );
    for part in ["size 90x33", "size 100x34", "code 5"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(folder.join("raw").exists(), "{shown}");
}

/// A signal that ends the program restores the terminal.
#[test]
fn a_terminal_is_restored_when_the_program_is_ended() {
    let folder = scratch("ended terminal");
    let shown = in_terminal(
        &folder,
        "kill -TERM $(cat pid)",
        "sh -c 'echo $$ > pid; exec $EXEC'",
    );
    for part in ["size 90x33", "error: ended by SIGTERM", "code 1"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

/// Runs a line of a shell in a terminal of 90 columns, where `$EXEC` is a command that prints its
/// terminal's sizes. `meanwhile` follows once the first size is shown and the terminal is raw.
/// Returns what the terminal shows; afterwards its mode is that of before.
fn in_terminal(folder: &Path, meanwhile: &str, line: &str) -> String {
    let api = Api::new();
    let program = env!("CARGO_BIN_EXE_lacewing");
    let exec = format!(
        "{program} kube exec -it mypod --server {} -- sizes",
        api.url()
    );
    let line = line.replace("$EXEC", &exec);
    let script = format!(
        "cd '{0}'; stty rows 33 cols 90; stty -g > before\n\
         (n=0; until grep -q 90x33 shown && stty -a < /dev/tty | grep -q -e '-icanon' || [ $n -gt 400 ]; do sleep 0.05; \
         n=$((n+1)); done; {meanwhile}) &\n\
         {line}; echo code $?\n\
         stty -g > after\n",
        folder.display()
    );
    let inner = folder.join("inner.sh");
    fs::write(&inner, script).unwrap();
    let output = Command::new("script")
        .args(["-qfec", &format!("sh '{}'", inner.display())])
        .arg(folder.join("shown"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mode = |name| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(mode("before"), mode("after"));
    text(&output.stdout)
}
