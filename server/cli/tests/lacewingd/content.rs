//! The operator's rules for the content of responses.

use std::fs;

use crate::{
    exchange::{ALL, ask, get},
    fails,
    program::{Directory, Running},
};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

/// `--check` says what the server does.
#[cfg(unix)]
#[test]
fn a_fallback_is_valid_if_it_is_served() {
    use std::os::unix::fs::symlink;

    let directory = Directory::new("lacewingd-valid-fallback");
    symlink("../hello.txt", directory.path("below/out")).unwrap();
    symlink("page.html", directory.path("below/within")).unwrap();
    let root = Directory(directory.path("below"));
    let named = root.0.to_str().unwrap();
    for (fallback, is_within) in [
        ("page.html", true),
        ("within", true),
        ("../hello.txt", false),
        ("out", false),
        (".", false),
    ] {
        for links in [false, true] {
            let mut args = vec!["--https", "off", "--fallback", fallback];
            if links {
                args.push("--follow-links");
            }
            let running = Running::start(&root, &args);
            let is_served = get(&running, ALL[0], "/view", &[BROWSER]).status == 200;
            let expected = is_within || links && fallback != ".";
            assert_eq!(is_served, expected, "{fallback} {links}");
            let (_, log) = running.terminate();
            let (code, said) = fails(&[&[named, "--check"], &args[..]].concat());
            assert_eq!(
                code,
                Some(if is_served { 0 } else { 1 }),
                "{fallback}: {said}"
            );
            for text in [&log, &said] {
                let named = text.contains(&format!("--fallback {fallback}: "));
                assert_eq!(named, !is_served, "{text}");
            }
        }
    }
}

/// The start says so, and goes on: the file may be built later.
#[test]
fn a_fallback_that_is_not_there_is_a_warning() {
    let directory = Directory::new("lacewingd-no-fallback");
    let running = Running::start(&directory, &["--https", "off", "--spa"]);
    assert_eq!(get(&running, ALL[0], "/view", &[BROWSER]).status, 404);
    fs::write(directory.path("index.html"), "<p>app</p>").unwrap();
    assert_eq!(get(&running, ALL[0], "/view", &[BROWSER]).status, 200);
    let (_, log) = running.terminate();
    let warning = log.lines().find(|line| line.contains("WARN")).unwrap();
    assert!(warning.contains("--fallback index.html: "), "{log}");
}

#[test]
fn the_fallback_is_for_pages_only() {
    let directory = Directory::new("lacewingd-fallback");
    fs::write(directory.path("index.html"), "<p>app</p>").unwrap();
    let args = ["--https", "off", "--spa", "--cache-control", "max-age=60"];
    let running = Running::start(&directory, &args);
    for protocol in ALL {
        for path in ["/users/7", "/users/", "/v1.2/users?q=a.b"] {
            for method in ["GET", "HEAD"] {
                let answer = ask(&running, protocol, method, path, &[BROWSER]);
                assert_eq!(answer.status, 200, "{protocol:?} {method} {path}");
                assert_eq!(answer.field("cache-control"), Some("no-cache"));
                let expected = if method == "GET" { "<p>app</p>" } else { "" };
                assert_eq!(answer.text(), expected);
            }
            let data = get(&running, protocol, path, &[("accept", "*/*")]);
            assert_eq!(data.status, 404, "{protocol:?} {path}");
        }
        for path in ["/app.js", "/users/app.js", "/.env", "/%00"] {
            let answer = get(&running, protocol, path, &[BROWSER]);
            assert_eq!(answer.status, 404, "{protocol:?} {path}");
            assert_eq!(answer.field("cache-control"), None);
        }
        assert_eq!(
            ask(&running, protocol, "POST", "/users/7", &[BROWSER]).status,
            405
        );
        let file = get(&running, protocol, "/hello.txt", &[]);
        assert_eq!(file.field("cache-control"), Some("max-age=60"));
        let etag = file.field("etag").unwrap();
        let same = get(&running, protocol, "/hello.txt", &[("if-none-match", etag)]);
        assert_eq!(
            (same.status, same.field("cache-control")),
            (304, Some("max-age=60"))
        );
    }
    fs::remove_file(directory.path("index.html")).unwrap();
    assert_eq!(get(&running, ALL[0], "/users/7", &[BROWSER]).status, 404);
}

#[test]
fn the_first_index_that_exists_is_served() {
    let directory = Directory::new("lacewingd-index");
    let running = Running::start(
        &directory,
        &["--https", "off", "--index", "home.htm,index.html"],
    );
    for protocol in ALL {
        fs::write(directory.path("below/index.html"), "second").unwrap();
        for _ in 0..2 {
            assert_eq!(get(&running, protocol, "/below/", &[]).text(), "second");
        }
        fs::write(directory.path("below/home.htm"), "first").unwrap();
        assert_eq!(get(&running, protocol, "/below/", &[]).text(), "first");
        fs::remove_file(directory.path("below/home.htm")).unwrap();
        assert_eq!(get(&running, protocol, "/below/", &[]).text(), "second");
    }
}

#[test]
fn errors_have_pages() {
    let directory = Directory::new("lacewingd-errors");
    let page = directory.path("missing.html");
    fs::write(&page, "<p>verloren — lost</p>").unwrap();
    let option = format!("404={}", page.display());
    let running = Running::start(&directory, &["--https", "off", "--error-page", &option]);
    for protocol in ALL {
        for method in ["GET", "HEAD"] {
            let answer = ask(&running, protocol, method, "/none", &[]);
            assert_eq!(answer.status, 404);
            let html = Some("text/html; charset=utf-8");
            assert_eq!(answer.field("content-type"), html);
            let expected = if method == "GET" {
                "<p>verloren — lost</p>"
            } else {
                ""
            };
            assert_eq!(answer.text(), expected, "{protocol:?}");
        }
        let answer = get(&running, protocol, "/%zz", &[BROWSER]);
        assert_eq!((answer.status, answer.field("vary")), (400, Some("accept")));
        assert!(
            answer.text().contains("<h1>400 Bad Request</h1>"),
            "{answer:?}"
        );
        let range = [("range", "bytes=99-")];
        let answer = get(&running, protocol, "/hello.txt", &range);
        assert_eq!(
            (answer.status, answer.field("content-range")),
            (416, Some("bytes */11"))
        );
        assert_eq!(
            answer.text(),
            "416 Range Not Satisfiable\nThe file has no such range.\n"
        );
    }
    let (code, said) = fails(&[".", "--error-page", "404=/no/such.html"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("--error-page 404=/no/such.html"), "{said}");
}

#[test]
fn every_response_has_the_added_fields() {
    let directory = Directory::new("lacewingd-added");
    let args = [
        "--https",
        "off",
        "--cors",
        "--header",
        "X-Frame-Options: DENY",
        "--header",
        "link: </a>",
        "--header",
        "link: </b>",
        "--header",
        "x-content-type-options: other",
    ];
    let running = Running::start(&directory, &args);
    for protocol in ALL {
        for (method, path, status) in [
            ("GET", "/hello.txt", 200),
            ("GET", "/", 200),
            ("GET", "/below", 307),
            ("GET", "/none", 404),
            ("POST", "/", 405),
            ("OPTIONS", "/hello.txt", 204),
        ] {
            let answer = ask(&running, protocol, method, path, &[]);
            assert_eq!(answer.status, status, "{protocol:?} {method} {path}");
            for (name, value) in [
                ("x-frame-options", "DENY"),
                ("access-control-allow-origin", "*"),
                ("x-content-type-options", "other"),
            ] {
                assert_eq!(
                    answer.field(name),
                    Some(value),
                    "{protocol:?} {method} {path}"
                );
            }
            assert!(answer.field("link").unwrap().starts_with("</a>"));
        }
        let answer = ask(&running, protocol, "OPTIONS", "/hello.txt", &[]);
        assert_eq!(
            answer.field("access-control-allow-methods"),
            Some("GET, HEAD")
        );
    }
}
