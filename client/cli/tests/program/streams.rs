//! `get`: priorities, windows, and responses ahead of the response.

use lacewing_client::Version;

use super::{curl::get, servers::server};

#[test]
fn a_priority_goes_where_the_protocol_has_it() {
    for (version, shown) in [
        (Version::Http2, ">     priority: u=6, i"),
        (Version::Spdy31, ">     priority=6"),
        (Version::Spdy3, ">     priority=6"),
        // Four levels.
        (Version::Spdy2, ">     priority=3"),
    ] {
        let url = format!("http://{}/hello", server(version));
        let args = ["-v", "--priority", "6,i", "-p", version.alpn(), &url];
        let (code, _, said) = get(&args);
        assert_eq!(code, 0, "{said}");
        assert!(said.contains(shown), "{version}: {said}");
    }
    let (code, _, said) = get(&["--priority", "8", "http://127.0.0.1:1/"]);
    assert_eq!(code, 2);
    assert!(said.contains("0 (first) to 7 (last)"), "{said}");
}

#[test]
fn windows_are_those_of_the_command_line() {
    for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
        let url = format!("http://{}/bytes/1000000", server(version));
        let windows = ["--window-size", "100000", "--connection-window-size", "1M"];
        let args = ["-v", "-o", "/dev/null", "-p", version.alpn(), &url];
        let (code, _, said) = get(&[&windows[..], &args].concat());
        assert_eq!(code, 0, "{said}");
        let settings = "SETTINGS_INITIAL_WINDOW_SIZE = ";
        assert!(
            said.contains(&format!(">     {settings}100000")),
            "{version}: {said}"
        );
        // They stay: nothing raises the window of streams again.
        let sent = said.lines().filter(|line| line.starts_with('>'));
        let raised = sent.filter(|line| line.contains(settings)).count();
        assert_eq!(raised, 1, "{version}: {said}");
        if version == Version::Http2 {
            let increment = (1 << 20) - 65_535;
            assert!(
                said.contains(&format!(">     increment={increment}")),
                "{said}"
            );
        }
    }
    let (code, _, said) = get(&["--window-size", "20", "http://127.0.0.1:1/"]);
    assert_eq!(code, 2);
    assert!(said.contains("2^20"), "{said}");
}

#[test]
fn informational_responses_are_a_part_of_what_i_prints() {
    let url = format!("http://{}/digest", server(Version::Http2));
    let args = ["--expect-continue", "-d", "hello", &url];
    let (code, out, said) = get(&[&["-i"], &args[..]].concat());
    assert_eq!(code, 0, "{said}");
    assert!(
        out.starts_with("HTTP/2 100 \r\n\r\nHTTP/2 200 \r\n"),
        "{out:?}"
    );
    let (code, out, _) = get(&args);
    assert_eq!(code, 0);
    assert_eq!(out.len(), 64, "{out:?}");
    // SPDY has none, and waits for none.
    let url = format!("http://{}/digest", server(Version::Spdy31));
    let args = [
        "-i",
        "--expect-continue",
        "-d",
        "hello",
        "-p",
        "spdy/3.1",
        &url,
    ];
    let (code, out, said) = get(&args);
    assert_eq!(code, 0, "{said}");
    assert!(out.starts_with("HTTP/1.1 200 OK\r\n"), "{out:?}");
}
