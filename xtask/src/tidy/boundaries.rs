//! What a layer may not name: the facades and the engine ask for capabilities, not for protocols.

use super::{File, source};

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

/// The engine names a protocol only in the wire mapping and in the table of capabilities.
pub(super) fn dialect_words(file: &File) -> Vec<String> {
    let Some(rest) = file.path.strip_prefix("conn/src/proto") else {
        return versions_in_facades(file);
    };
    let allowed = rest == "/wire.rs"
        || rest == "/rules.rs"
        || ["/wire/", "/rules/"]
            .iter()
            .any(|folder| rest.starts_with(folder));
    if allowed || !file.is_rust() || !(rest == ".rs" || rest.starts_with('/')) {
        return Vec::new();
    }
    let code = source::without_comments(&file.text);
    let mut complaints = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let lower = line.to_lowercase();
        let word = ["http2", "spdy"]
            .into_iter()
            .find(|word| lower.contains(word));
        let word = word.or_else(|| line.contains("Version::").then_some("Version::"));
        if let Some(word) = word {
            let what = format!("`{word}` outside wire/ and rules/: ask `rules` for the capability");
            complaints.push(file.complaint(number + 1, &what));
        }
    }
    complaints
}

/// The facades ask for capabilities. They name a version only where they negotiate one.
fn versions_in_facades(file: &File) -> Vec<String> {
    let facade = ["client/src/", "server/src/"]
        .iter()
        .any(|place| file.path.starts_with(place));
    let negotiates = NEGOTIATION.contains(&file.path.as_str());
    if !facade || negotiates || !file.is_rust() {
        return Vec::new();
    }
    let code = source::without_comments(&file.text);
    let code = code
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let named = |line: &str| {
        ["Version", "Protocol", "Detected"]
            .iter()
            .flat_map(|kind| [format!("{kind}::Http2"), format!("{kind}::Spdy")])
            .any(|word| line.contains(&word))
    };
    let lines = code.lines().enumerate().filter(|(_, line)| named(line));
    lines
        .map(|(number, _)| {
            file.complaint(
                number + 1,
                "a version in a facade: ask `Context::capabilities`",
            )
        })
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
        let found = dialect_words(&file("conn/src/proto/streams/flow.rs", code));
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("flow.rs:1:") && found[1].contains("flow.rs:3:"));
        for path in [
            "conn/src/proto/wire.rs",
            "conn/src/proto/wire/spdy.rs",
            "conn/src/proto/rules.rs",
        ] {
            assert!(dialect_words(&file(path, code)).is_empty());
        }
        assert_eq!(dialect_words(&file("conn/src/proto.rs", code)).len(), 2);
        assert!(dialect_words(&file("conn/src/driver.rs", code)).is_empty());
        assert!(dialect_words(&file("conn/src/protocol.rs", code)).is_empty());
    }

    #[test]
    fn facades_name_a_version_only_where_one_is_negotiated() {
        let code = "fn f() { v == Version::Http2 }\n// Version::Http2\n#[cfg(test)]\nmod tests {\n    const V: Version = Version::Spdy3;\n}\n";
        let found = dialect_words(&file("client/src/stats.rs", code));
        assert!(
            found.len() == 1 && found[0].contains("stats.rs:1:"),
            "{found:?}"
        );
        assert_eq!(
            dialect_words(&file("server/src/exchange/a.rs", code)).len(),
            1
        );
        let negotiated = "fn f() { p == Protocol::Spdy31 || d == Detected::Http2 }\n";
        assert_eq!(
            dialect_words(&file("server/src/outgoing.rs", negotiated)).len(),
            1
        );
        assert!(dialect_words(&file("server/src/detect.rs", negotiated)).is_empty());
        assert!(dialect_words(&file("client/tests/a.rs", code)).is_empty());
    }
}
