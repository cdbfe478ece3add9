//! What a layer may not name: the facades and the engine ask for capabilities, not for protocols;
//! the engine reaches no runtime, clock or global; a test builds nothing.

use super::{File, source};

/// Every rule of this file.
pub(super) fn boundaries(file: &File) -> Vec<String> {
    if !file.is_rust() {
        return Vec::new();
    }
    let code = source::without_comments(&file.text);
    let untested = code.split("#[cfg(test)]\nmod tests").next();
    let untested = untested.unwrap_or_default();
    let mut complaints = dialect_words(file, &code);
    complaints.extend(versions_in_facades(file, untested));
    complaints.extend(protocols_in_shared_conform(file, untested));
    complaints.extend(outside_of_the_engine(file, untested));
    complaints.extend(builds_in_tests(file, &code));
    complaints
}

/// Files of the facades that choose a protocol, and therefore name protocols.
const NEGOTIATION: [&str; 10] = [
    // `Upgrade: h2c` is HTTP/2 by its definition.
    "client/src/client.rs",
    "client/src/connection.rs",
    "client/src/pool.rs",
    "client/src/upgrade.rs",
    "server/src/h2c/request.rs",
    "server/src/http1.rs",
    "server/src/server.rs",
    // The first bytes of a connection, the choice by ALPN, and its names.
    "server/src/acceptor.rs",
    "server/src/detect.rs",
    "server/src/protocol.rs",
];

/// Files of the conformance suite that choose a protocol, or tell them apart.
const CHOOSES_PROTOCOL: [&str; 5] = [
    "client/conform/src/frame_log.rs",
    "client/conform/src/http2.rs",
    "client/conform/src/lib.rs",
    "client/conform/src/probe.rs",
    "client/conform/src/target.rs",
];

/// What the engine gets from its caller, or does without.
const OUTSIDE: [&str; 11] = [
    "Instant::now",
    "SystemTime::",
    "thread_local!",
    "OnceLock",
    "LazyLock",
    "static mut",
    "tokio::",
    "std::env",
    "std::fs",
    "std::process",
    "std::thread",
];

/// The engine names a protocol only in the wire mapping and in the table of capabilities.
fn dialect_words(file: &File, code: &str) -> Vec<String> {
    let Some(rest) = in_engine(file) else {
        return Vec::new();
    };
    if ["/wire.rs", "/rules.rs"].contains(&rest)
        || ["/wire/", "/rules/"]
            .iter()
            .any(|folder| rest.starts_with(folder))
    {
        return Vec::new();
    }
    lines_with(file, code, |line| {
        let lower = line.to_lowercase();
        let words = ["http2", "spdy"].into_iter();
        let word = words.clone().find(|word| lower.contains(word));
        let word = word.or_else(|| line.contains("Version::").then_some("Version::"))?;
        Some(format!(
            "`{word}` outside wire/ and rules/: ask `rules` for the capability"
        ))
    })
}

/// The facades ask for capabilities. They name a version only where they negotiate one.
fn versions_in_facades(file: &File, code: &str) -> Vec<String> {
    let facade = ["client/src/", "server/src/"]
        .iter()
        .any(|place| file.path.starts_with(place));
    if !facade || NEGOTIATION.contains(&file.path.as_str()) {
        return Vec::new();
    }
    lines_with(file, code, |line| {
        names_protocol(line)
            .then(|| "a version in a facade: ask `Context::capabilities`".to_owned())
    })
}

/// Cases, player, recorder and judge are the same for all protocols.
fn protocols_in_shared_conform(file: &File, code: &str) -> Vec<String> {
    let own = ["spdy.rs", "spdy/", "http2/", "frame_log/"];
    let rest = file.path.strip_prefix("client/conform/src/");
    let shared = rest.is_some_and(|rest| !own.iter().any(|place| rest.starts_with(place)));
    if !shared || CHOOSES_PROTOCOL.contains(&file.path.as_str()) {
        return Vec::new();
    }
    lines_with(file, code, |line| {
        let module = ["http2::", "spdy::"].iter().any(|path| line.contains(path));
        (module || names_protocol(line))
            .then(|| "a protocol in what all protocols share: ask `Protocol`".to_owned())
    })
}

/// The engine is sans-I/O: equal calls with equal times give equal bytes.
fn outside_of_the_engine(file: &File, code: &str) -> Vec<String> {
    if in_engine(file).is_none() {
        return Vec::new();
    }
    lines_with(file, code, |line| {
        let word = OUTSIDE.iter().find(|word| line.contains(*word));
        let word = word.or_else(|| {
            let mut shared = ["Atomic", "Mutex"].iter();
            shared.find(|kind| line.contains("static ") && line.contains(*kind))
        })?;
        Some(format!(
            "`{word}` in the engine: its caller gives it times, bytes and shared state"
        ))
    })
}

/// A test uses what cargo built for it, so that it runs with no network and in any order.
fn builds_in_tests(file: &File, code: &str) -> Vec<String> {
    // The steps of CI are in xtask.
    if file.path.starts_with("xtask/") {
        return Vec::new();
    }
    lines_with(file, code, |line| {
        line.contains(concat!("Command::new(\"car", "go\")"))
            .then(|| "cargo in a program or test: make it a step of xtask".to_owned())
    })
}

/// The path below `conn/src/proto`, for a file of the engine.
fn in_engine(file: &File) -> Option<&str> {
    let rest = file.path.strip_prefix("conn/src/proto")?;
    (rest == ".rs" || rest.starts_with('/')).then_some(rest)
}

fn names_protocol(line: &str) -> bool {
    ["Version", "Protocol", "Detected"]
        .iter()
        .flat_map(|kind| [format!("{kind}::Http2"), format!("{kind}::Spdy")])
        .any(|word| line.contains(&word))
}

fn lines_with(file: &File, code: &str, judge: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let lines = code.lines().enumerate();
    lines
        .filter_map(|(number, line)| Some(file.complaint(number + 1, &judge(line)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn dialect_words_are_kept_to_their_two_places() {
        let code = "fn f() { if v == Version::V2 {} }\n// http2 in a comment\nlet s = \"SPDY\";\n";
        let found = boundaries(&file("conn/src/proto/streams/flow.rs", code));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("flow.rs:1:") && found[1].contains("flow.rs:3:"));
        for path in [
            "conn/src/proto/wire.rs",
            "conn/src/proto/wire/spdy.rs",
            "conn/src/proto/rules.rs",
        ] {
            assert!(boundaries(&file(path, code)).is_empty());
        }
        assert_eq!(boundaries(&file("conn/src/proto.rs", code)).len(), 2);
        assert!(boundaries(&file("conn/src/driver.rs", code)).is_empty());
        assert!(boundaries(&file("conn/src/protocol.rs", code)).is_empty());
    }

    #[test]
    fn facades_name_a_version_only_where_one_is_negotiated() {
        let code = "fn f() { v == Version::Http2 }\n// Version::Http2\n#[cfg(test)]\nmod tests {\n    const V: Version = Version::Spdy3;\n}\n";
        let found = boundaries(&file("client/src/stats.rs", code));
        assert!(
            found.len() == 1 && found[0].contains("stats.rs:1:"),
            "{found:?}"
        );
        assert_eq!(boundaries(&file("server/src/exchange/a.rs", code)).len(), 1);
        let negotiated = "fn f() { p == Protocol::Spdy31 || d == Detected::Http2 }\n";
        assert_eq!(
            boundaries(&file("server/src/outgoing.rs", negotiated)).len(),
            1
        );
        assert!(boundaries(&file("server/src/detect.rs", negotiated)).is_empty());
        assert!(boundaries(&file("client/tests/a.rs", code)).is_empty());
    }

    #[test]
    fn the_conformance_suite_tells_protocols_apart_only_in_their_own_files() {
        let code = "use crate::spdy::frame::Frame;\nfn f() { v == Version::Http2 }\n";
        let found = |path| boundaries(&file(path, code)).len();
        assert_eq!(found("client/conform/src/case.rs"), 2);
        assert_eq!(found("client/conform/src/player/bulk.rs"), 2);
        assert_eq!(found("client/conform/src/spdy/probe.rs"), 0);
        assert_eq!(found("client/conform/src/lib.rs"), 0);
    }

    #[test]
    fn the_engine_has_no_clock_runtime_or_global() {
        for line in [
            "let now = Instant::now();",
            "use tokio::time::sleep;",
            "thread_local! { static A: u8 = 0 }",
            "static A: OnceLock<u8> = OnceLock::new();",
            "static A: AtomicU64 = AtomicU64::new(0);",
        ] {
            let found = boundaries(&file("conn/src/proto/flow.rs", line));
            assert_eq!(found.len(), 1, "{line}: {found:?}");
            assert!(boundaries(&file("conn/src/driver/task.rs", line)).is_empty());
            let tested = format!("#[cfg(test)]\nmod tests {{\n{line}\n}}\n");
            assert!(boundaries(&file("conn/src/proto/flow.rs", &tested)).is_empty());
        }
    }

    #[test]
    fn a_test_builds_nothing() {
        let code = "Command::new(\"cargo\").arg(\"build\");\n";
        assert_eq!(boundaries(&file("server/cli/tests/run.rs", code)).len(), 1);
        assert!(boundaries(&file("xtask/src/shell.rs", code)).is_empty());
    }
}
