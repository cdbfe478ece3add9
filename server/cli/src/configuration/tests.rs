use std::{env, fs, time::Duration};

use super::*;
use crate::{args::Listen, log::Format};

/// A file that is removed at the end.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let file = format!("lacewingd-{name}-{}.toml", std::process::id());
        let path = env::temp_dir().join(file);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn read(&self, words: &[&str]) -> Result<Options, Error> {
        let first = ["lacewingd", "--config", self.0.to_str().unwrap()];
        let all = first.iter().chain(words).map(OsString::from);
        Options::read(&all.collect::<Vec<_>>())
    }

    /// The report, with `FILE` for the name.
    fn report(&self) -> String {
        let Err(error) = self.read(&[]) else {
            panic!("the configuration is valid");
        };
        assert!(matches!(error, Error::Configuration(_)), "{error}");
        error.to_string().replace(self.0.to_str().unwrap(), "FILE")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A value for each option that no check of values refuses.
fn example(arg: &clap::Arg) -> &'static str {
    match arg.get_long().unwrap_or("directory") {
        "header" => "x-a: b",
        "error-page" => "404=missing.html",
        "proxy" => "/=http://127.0.0.1:1",
        "trusted-proxy" => "10.0.0.0/8",
        "protocols" => "h2",
        "log-format" => "json",
        "precompressed" => "br",
        "runtime" => "shared",
        "proxy-balance" => "least",
        "health-check" => "/",
        "cache-control" => "no-store",
        "dial" => "https://gateway.example/office",
        "dial-protocol" => "spdy/3.1",
        "tunnel" => "office=office.token",
        "log-level" => "warn",
        _ if arg
            .get_value_names()
            .is_some_and(|names| names[0] == "ADDR") =>
        {
            "127.0.0.1:1"
        }
        _ => "16",
    }
}

#[test]
fn every_option_has_its_key() {
    for arg in Args::command().get_arguments() {
        let key = arg.get_long().unwrap_or("directory");
        if matches!(key, "config" | "check" | "completions" | "man") {
            let report = File::new(key, &format!("{key} = 'x'")).report();
            assert!(report.contains("on the command line only"), "{report}");
            continue;
        }
        let value = match arg.get_action() {
            clap::ArgAction::SetTrue => "true".to_owned(),
            _ => format!("'{}'", example(arg)),
        };
        let mut text = format!("{key} = {value}\n");
        match key {
            "cert" => text += "key = 'k'\n",
            "key" => text += "cert = 'c'\n",
            _ => {}
        }
        let file = File::new(&format!("key-{key}"), &text);
        if let Err(error) = file.read(&[]) {
            panic!("{text}: {error}");
        }
    }
}

const WHOLE: &str = r#"
directory = "public"
http = "0.0.0.0:80"
hidden = true
idle-timeout = 60
protocols = ["h2", "http/1.1"]
log-format = "json"
cert = ["a.pem", "b.pem"]
key = ["a.key", "b.key"]

[header]
x-frame-options = "DENY"
referrer-policy = "no-referrer"

[error-page]
404 = "missing.html"

[proxy]
"/api" = ["http://127.0.0.1:3000", "http://127.0.0.1:3001"]
"example.org" = "h2c://127.0.0.1:50051"
"#;

#[test]
fn values_have_the_types_of_toml() {
    let options = File::new("whole", WHOLE).read(&[]).unwrap();
    let args = options.args;
    assert_eq!(args.directory, Some("public".into()));
    assert_eq!(args.http, Listen::On("0.0.0.0:80".parse().unwrap()));
    assert!(args.hidden && !args.follow_links);
    assert_eq!(args.limits.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(args.protocols.len(), 2);
    assert_eq!(args.log.log_format, Format::Json);
    assert_eq!(args.cert, ["a.pem", "b.pem"].map(PathBuf::from));
    assert_eq!(args.key, ["a.key", "b.key"].map(PathBuf::from));
    assert_eq!(args.content.header.len(), 2);
    assert_eq!(args.content.error_page[0].0, 404);
    let proxy = args.proxy.settings().unwrap();
    let upstreams: Vec<_> = proxy
        .routes
        .iter()
        .map(|route| route.upstreams.len())
        .collect();
    assert_eq!(upstreams, [2, 1]);
}

#[test]
fn the_command_line_is_stronger_than_the_file() {
    let file = File::new("stronger", WHOLE);
    let words = [
        "--http",
        "off",
        "other",
        "--hidden=false",
        "--protocols",
        "spdy/3.1",
        "--header",
        "a: b",
        "--cors=true",
    ];
    let args = file.read(&words).unwrap().args;
    assert_eq!(args.http, Listen::Off);
    assert_eq!(args.directory, Some("other".into()));
    assert!(!args.hidden && args.content.cors);
    assert_eq!(args.protocols.len(), 1);
    assert_eq!(args.content.header.len(), 1, "a list replaces a list");
    assert_eq!(args.limits.idle_timeout, Some(Duration::from_secs(60)));

    // An option excludes its rivals in the file.
    let file = File::new("rivals", "fallback = 'a.html'\nproxy-insecure = true\n");
    let args = file.read(&["--spa", "--proxy-ca", "ca.pem"]).unwrap().args;
    assert_eq!(args.content.fallback().unwrap(), "index.html");
}

#[test]
fn switches_without_a_file_have_values_too() {
    let read = |word: &str| {
        let words = ["lacewingd", word, "--", "--hidden=true"].map(OsString::from);
        Options::read(&words).unwrap().args
    };
    assert!(read("--hidden=true").hidden && read("--hidden").hidden);
    assert!(!read("--hidden=false").hidden);
    assert!(read("--follow-symlinks=true").follow_links);
    // After `--` it is the name of a directory.
    assert_eq!(
        read("--hidden=false").directory,
        Some("--hidden=true".into())
    );
}

#[test]
fn errors_point_at_their_places() {
    for (text, expected) in [
        (
            "http = 'off'\nprots = ['h2']\n",
            "FILE:2:1: there is no option `prots`; did you mean `protocols`?\n  \
             2 | prots = ['h2']\n    | ^^^^^",
        ),
        (
            "\tidle_timeout = 3",
            "FILE:1:2: there is no option `idle_timeout`; did you mean `idle-timeout`?\n  \
             1 | \tidle_timeout = 3\n    | \t^^^^^^^^^^^^",
        ),
        (
            "xyzzy = 3",
            "FILE:1:1: there is no option `xyzzy`; `lacewingd --help` lists them\n  \
             1 | xyzzy = 3\n    | ^^^^^",
        ),
        (
            "protocols = ['h2', 'h3']",
            "FILE:1:20: `protocols`: `h3` is no protocol",
        ),
        (
            "runtime = \"both\"",
            "FILE:1:11: `runtime`: `both` is none of `shared`, `per-thread`\n  \
             1 | runtime = \"both\"\n    |           ^^^^^^",
        ),
        (
            "hidden = 'yes'",
            "FILE:1:10: `hidden` is true or false, and not of type string\n  \
             1 | hidden = 'yes'\n    |          ^^^^^",
        ),
        (
            "idle-timeout = true",
            "FILE:1:16: `idle-timeout` takes no value of type boolean",
        ),
        (
            "max-memory = 3",
            "FILE:1:14: `max-memory`: 3 is not in 16..",
        ),
        ("[proxy]\n'/api' = 'htp://a'\n", "FILE:2:10: `proxy`: "),
        (
            "[index]\na = 1\n",
            "FILE:1:1: `index` is a list of values, and no table",
        ),
        ("http = 'off'\nhttp = 'off'\n", "FILE:2:1: duplicate key"),
        ("http = off\n", "FILE:1:8: "),
        (
            "follow-links = true\nfollow-symlinks = true\n",
            "FILE:2:1: `follow-symlinks` is here by another name too",
        ),
        ("spa = true\nfallback = 'a.html'\n", "FILE:"),
        (
            "cert = 'a.pem'\n",
            "FILE:1:1: the following required arguments were not provided: --key <FILE>",
        ),
    ] {
        let report = File::new("places", text).report();
        assert!(report.starts_with(expected), "{text}\n{report}\n{expected}");
    }
    // All at once, in the order of the lines.
    let report = File::new("all", "threads = 0\nhttp = '8080'\nfoo = 1\n").report();
    let places: Vec<_> = report
        .lines()
        .filter(|line| line.starts_with("FILE:"))
        .collect();
    assert_eq!(places.len(), 3, "{report}");
    assert!(
        places
            .iter()
            .zip(1..)
            .all(|(line, number)| line.starts_with(&format!("FILE:{number}:")))
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let words = ["lacewingd", "--config", "/nonexistent.toml"].map(OsString::from);
    let error = Options::read(&words).unwrap_err().to_string();
    assert!(error.starts_with("--config /nonexistent.toml: "), "{error}");
    let file = File::new("long", &"# x\n".repeat(300_000));
    let error = file.read(&[]).unwrap_err().to_string();
    assert!(error.contains("longer than 1048576 bytes"), "{error}");
}

#[test]
fn readings_differ_in_the_options_that_changed() {
    let old = File::new("old", WHOLE).read(&[]).unwrap();
    let text = WHOLE
        .replace("0.0.0.0:80", "0.0.0.0:81")
        .replace("DENY", "SAMEORIGIN");
    let new = File::new("new", &text).read(&[]).unwrap();
    let mut changed: Vec<_> = new
        .differences(&old)
        .filter(|name| *name != "config")
        .collect();
    changed.sort_unstable();
    assert_eq!(changed, ["header", "http"]);
    assert_eq!(old.differences(&old).count(), 0);
}
