//! A configuration file: `--check`, and what SIGHUP changes.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{ChildStderr, Command, Output},
};

use crate::program::{Directory, PROGRAM, Running};

fn check(directory: &Directory, text: &str) -> (Option<i32>, String, String) {
    let file = directory.path("lacewingd.toml");
    fs::write(&file, text).unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(PROGRAM)
        .arg("--config")
        .arg(&file)
        .arg("--check")
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn a_check_has_an_exit_code_and_the_place_of_each_error() {
    let directory = Directory::new("lacewingd-check");
    let root = directory.0.to_str().unwrap();
    let good = format!("directory = '{root}'\n[proxy]\n'/api' = 'http://127.0.0.1:1'\n");
    let (code, said, trouble) = check(&directory, &good);
    assert_eq!((code, &*trouble), (Some(0), ""), "{said}");
    assert!(said.contains("valid"), "{said}");

    let (code, said, trouble) = check(&directory, &good.replace("[proxy]", "hiden = 1\n[proxy]"));
    assert_eq!((code, &*said), (Some(2), ""));
    let place = "lacewingd.toml:2:1: there is no option `hiden`; did you mean `hidden`?";
    assert!(trouble.contains(place), "{trouble}");
    assert!(
        trouble.contains("\n  2 | hiden = 1\n    | ^^^^^\n"),
        "{trouble}"
    );

    let spa = format!("directory = '{root}'\nspa = true");
    for (text, expected, wrong) in [
        ("directory = '/nonexistent'", "/nonexistent", 1),
        ("cert = '/no/c'\nkey = '/no/k'", "/no/c", 1),
        ("http = 'off'\nhttps = 'off'", "no client could connect", 2),
        ("https = 'unix:/run/a.sock'", "--https takes no Unix", 2),
        (
            "cert = ['a', 'b']\nkey = 'a'",
            "--cert is there 2 times and --key 1 times",
            2,
        ),
        ("[error-page]\n404 = '/no/page'", "/no/page", 1),
        (&spa, "--fallback index.html: ", 1),
        ("proxy = 'https://a'\nproxy-ca = '/no/ca'", "/no/ca", 1),
    ] {
        let (code, said, trouble) = check(&directory, text);
        assert_eq!((code, &*said), (Some(wrong), ""), "{text}");
        assert!(trouble.contains(expected), "{text}: {trouble}");
    }
}

struct Log(std::io::Lines<BufReader<ChildStderr>>);

impl Log {
    fn of(running: &mut Running) -> Self {
        Self(BufReader::new(running.child.stderr.take().unwrap()).lines())
    }

    /// The next line with this text.
    fn says(&mut self, text: &str) -> String {
        let mut lines = self.0.by_ref().map_while(Result::ok);
        let found = lines.find(|line| line.contains(text));
        found.unwrap_or_else(|| panic!("the log does not say {text}"))
    }
}

/// A request whose answer has begun, and goes on after a reload.
fn half_read(running: &Running, path: &str) -> (TcpStream, Vec<u8>) {
    let mut io = running.connect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    io.write_all(request.as_bytes()).unwrap();
    let mut begun = vec![0; 1000];
    io.read_exact(&mut begun).unwrap();
    (io, begun)
}

#[test]
fn a_reload_changes_what_is_served_and_drops_no_response() {
    let (one, two) = (
        Directory::new("lacewingd-one"),
        Directory::new("lacewingd-two"),
    );
    let large: Vec<u8> = (0..20_000_000_u32).map(|byte| (byte % 251) as u8).collect();
    fs::write(one.path("large"), &large).unwrap();
    fs::write(two.path("hello.txt"), "hello again").unwrap();
    let file = one.path("lacewingd.toml");
    let write = |text: &str| fs::write(&file, text).unwrap();
    let (first, second) = (one.0.to_str().unwrap(), two.0.to_str().unwrap());
    write(&format!("directory = '{first}'\nthreads = 1\n"));
    let file_name = file.to_str().unwrap().to_owned();
    let mut running = Running::start_by(
        Command::new(PROGRAM),
        None,
        &["--https", "off", "--config", &file_name],
    );
    let mut log = Log::of(&mut running);
    assert!(running.get("/hello.txt", "").ends_with("hello world"));
    let (mut io, mut answer) = half_read(&running, "/large");

    write(&format!(
        "directory = '{second}'\nthreads = 2\nlog-format = 'json'\n[header]\nx-new = 'yes'\n"
    ));
    running.signal("-HUP");
    log.says("the options and all files were read again");
    let line = log.says("at the next start only");
    assert!(
        line.contains("--threads") && !line.contains("header"),
        "{line}"
    );
    let new = running.get("/hello.txt", "");
    assert!(
        new.ends_with("hello again") && new.contains("x-new: yes"),
        "{new}"
    );
    let line = log.says("/hello.txt");
    assert!(
        line.starts_with("{\"ts\":\"") && line.contains("\"status\":200"),
        "{line}"
    );

    // A wrong file changes nothing, and the log says why.
    write("directory = '/nonexistent'\n");
    running.signal("-HUP");
    let line = log.says("SIGHUP: nothing changes");
    assert!(line.contains("/nonexistent"), "{line}");
    write("hiden = true\n");
    running.signal("-HUP");
    let line = log.says("SIGHUP: nothing changes");
    assert!(
        line.contains("toml:1:1: there is no option `hiden`; did you mean `hidden`?"),
        "{line}"
    );
    assert!(running.get("/hello.txt", "").ends_with("hello again"));

    // The level too; and the old response is whole.
    write(&format!("directory = '{second}'\nlog-level = 'warn'\n"));
    running.signal("-HUP");
    io.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(&large));
    write(&format!(
        "directory = '{second}'\nlog-level = 'info'\n[header]\nx-last = 'yes'\n"
    ));
    running.signal("-HUP");
    log.says("the options and all files were read again");
    running.signal("-TERM");
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
}
