//! Regular files below the root are served, and no others.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::symlink,
    process::Command,
};

use crate::{
    exchange::{ALL, Fields, Protocol, ask, get},
    program::{Directory, Running},
};

fn status(running: &Running, protocol: Protocol, path: &str) -> u16 {
    get(running, protocol, path, &[]).status
}

#[test]
fn a_fifo_is_not_opened_and_delays_no_request() {
    let directory = Directory::new("lacewingd-fifo");
    let fifo = directory.path("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    symlink("fifo", directory.path("to-fifo")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.path("socket")).unwrap();
    fs::create_dir_all(directory.path("index")).unwrap();
    let index = directory.path("index/index.html");
    assert!(
        Command::new("mkfifo")
            .arg(&index)
            .status()
            .unwrap()
            .success()
    );
    for links in [&["--follow-links"][..], &[]] {
        let running = Running::start(&directory, &[&["--https", "off"], links].concat());
        for protocol in ALL {
            for path in ["/fifo", "/to-fifo", "/socket", "/fifo/", "/fifo/x"] {
                assert_eq!(status(&running, protocol, path), 404, "{protocol:?} {path}");
            }
            // Its directory has a page.
            assert_eq!(status(&running, protocol, "/index/"), 200, "{protocol:?}");
            assert_eq!(
                status(&running, protocol, "/hello.txt"),
                200,
                "{protocol:?}"
            );
        }
        let page = get(&running, Protocol::Http2, "/", &[]).text();
        assert!(!page.contains("fifo") && !page.contains("socket"), "{page}");
    }
}

#[test]
fn links_that_leave_the_root_are_not_found_unless_asked_for() {
    let outside = Directory::new("lacewingd-outside");
    let directory = Directory::new("lacewingd-links");
    symlink("hello.txt", directory.path("inside")).unwrap();
    symlink("below", directory.path("inner")).unwrap();
    symlink(outside.path("hello.txt"), directory.path("out")).unwrap();
    symlink(&outside.0, directory.path("outer")).unwrap();
    symlink("loop", directory.path("loop")).unwrap();
    let inside = ["/inside", "/inner/page.html", "/inner/"];
    let out = [
        "/out",
        "/outer/hello.txt",
        "/outer/",
        "/outer/below/page.html",
    ];
    let safe = Running::start(&directory, &["--https", "off"]);
    let follows = Running::start(&directory, &["--https", "off", "--follow-links"]);
    for protocol in ALL {
        for path in inside {
            assert_eq!(status(&safe, protocol, path), 200, "{protocol:?} {path}");
            assert_eq!(status(&follows, protocol, path), 200, "{protocol:?} {path}");
        }
        for path in out {
            assert_eq!(status(&safe, protocol, path), 404, "{protocol:?} {path}");
            assert_eq!(status(&follows, protocol, path), 200, "{protocol:?} {path}");
        }
        assert_eq!(status(&safe, protocol, "/loop"), 404);
        assert_eq!(status(&follows, protocol, "/loop"), 404);
    }
    let page = get(&safe, Protocol::Http1, "/", &[]).text();
    assert!(
        page.contains("./inside\"") && page.contains("./inner/\""),
        "{page}"
    );
    assert!(!page.contains("./out"), "{page}");
    let page = get(&follows, Protocol::Http1, "/", &[]).text();
    assert!(
        page.contains("./out\"") && page.contains("./outer/\""),
        "{page}"
    );
    // A file that was served from memory, and is a link out of the root now.
    assert_eq!(status(&safe, Protocol::Http1, "/hello.txt"), 200);
    fs::remove_file(directory.path("hello.txt")).unwrap();
    symlink(outside.path("hello.txt"), directory.path("hello.txt")).unwrap();
    for path in ["/hello.txt", "/inside"] {
        assert_eq!(status(&safe, Protocol::Http1, path), 404, "{path}");
    }
}

/// A volume of Kubernetes (ConfigMap, Secret): its names are links into a hidden directory, which is
/// exchanged as a whole.
#[test]
fn the_links_of_a_volume_lead_to_its_hidden_directory() {
    let directory = Directory::new("lacewingd-volume");
    fs::create_dir_all(directory.path("..2026_11_29")).unwrap();
    fs::write(directory.path("..2026_11_29/page.txt"), "of the volume").unwrap();
    symlink("..2026_11_29", directory.path("..data")).unwrap();
    symlink("..data/page.txt", directory.path("page.txt")).unwrap();
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in ALL {
        assert_eq!(status(&running, protocol, "/page.txt"), 200, "{protocol:?}");
        for path in ["/..data/page.txt", "/..2026_11_29/page.txt", "/..data/"] {
            assert_eq!(status(&running, protocol, path), 404, "{protocol:?} {path}");
        }
    }
}

#[test]
fn dotfiles_are_not_found_unless_asked_for() {
    let directory = Directory::new("lacewingd-hidden");
    fs::create_dir_all(directory.path(".git")).unwrap();
    fs::create_dir_all(directory.path(".well-known")).unwrap();
    for name in [
        ".env",
        ".git/config",
        "below/.htpasswd",
        ".well-known/security.txt",
    ] {
        fs::write(directory.path(name), "secret").unwrap();
    }
    let safe = Running::start(&directory, &["--https", "off"]);
    let hidden = Running::start(&directory, &["--https", "off", "--hidden"]);
    for protocol in ALL {
        for path in [
            "/.env",
            "/%2Eenv",
            "/.git/config",
            "/.git/",
            "/.git",
            "/below/.htpasswd",
        ] {
            assert_eq!(status(&safe, protocol, path), 404, "{protocol:?} {path}");
            assert_ne!(status(&hidden, protocol, path), 404, "{protocol:?} {path}");
        }
        assert_eq!(status(&safe, protocol, "/.well-known/security.txt"), 200);
    }
    assert!(
        !get(&safe, Protocol::Http1, "/", &[])
            .text()
            .contains("./.env")
    );
    assert!(
        get(&hidden, Protocol::Http1, "/", &[])
            .text()
            .contains("./.env")
    );
}

#[test]
fn names_that_no_file_can_have_are_not_found() {
    let directory = Directory::new("lacewingd-names");
    let running = Running::start(&directory, &["--https", "off"]);
    let long = "n".repeat(256);
    let deep = "/d".repeat(3000);
    for protocol in ALL {
        for (path, expected) in [
            (&*format!("/{long}"), 404),
            (&format!("/{long}/x"), 404),
            (&format!("/below/{long}/"), 404),
            (&deep, 404),
            ("/hello.txt/x", 404),
            ("/hello.txt/", 404),
            ("/%00", 404),
            ("/below/%2e%2e/hello.txt", 404),
            ("/%zz", 400),
            ("/below", 307),
        ] {
            assert_eq!(
                status(&running, protocol, path),
                expected,
                "{protocol:?} {path}"
            );
        }
        for method in ["POST", "DELETE", "OPTIONS"] {
            let answer = ask(&running, protocol, method, "/hello.txt", &[]);
            assert_eq!(
                (answer.status, answer.field("allow")),
                (405, Some("GET, HEAD"))
            );
        }
        let answer = get(&running, protocol, "//below?a=1", &[]);
        assert_eq!(answer.field("location"), Some("/below/?a=1"));
    }
}

#[test]
fn a_file_that_changes_is_read_again() {
    let directory = Directory::new("lacewingd-changes");
    let running = Running::start(&directory, &["--https", "off"]);
    let index = directory.path("index.html");
    for protocol in ALL {
        for content in ["one", "two", "three"] {
            fs::write(&index, content).unwrap();
            for path in ["/", "/index.html"] {
                let answer = get(&running, protocol, path, &[]);
                assert_eq!((answer.status, &*answer.text()), (200, content));
                assert_eq!(
                    answer.field("content-type"),
                    Some("text/html; charset=utf-8")
                );
            }
        }
        fs::remove_file(&index).unwrap();
        assert!(
            get(&running, protocol, "/", &[])
                .text()
                .contains("hello.txt")
        );
        assert_eq!(status(&running, protocol, "/index.html"), 404);
    }
}

/// Its response cannot be completed. The connection ends, and the log names the cause.
#[test]
fn a_file_that_becomes_shorter_ends_its_response() {
    let directory = Directory::new("lacewingd-shorter");
    // More than the buffers of the sockets hold.
    let len = 64 << 20;
    let file = fs::File::create(directory.path("long")).unwrap();
    file.set_len(len).unwrap();
    let running = Running::start(&directory, &["--https", "off"]);
    let mut io = running.connect();
    io.write_all(b"GET /long HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    io.read_exact(&mut [0; 1000]).unwrap();
    file.set_len(1).unwrap();
    let mut rest = Vec::new();
    let _ = io.read_to_end(&mut rest);
    assert!((rest.len() as u64) < len, "{} bytes", rest.len());
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0));
    let cause = "the file became shorter while it was sent";
    assert!(log.contains(cause), "{log}");
}

#[test]
fn conditions_are_looked_at_for_get_and_head() {
    let directory = Directory::new("lacewingd-conditions");
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in ALL {
        let whole = get(&running, protocol, "/hello.txt", &[]);
        let etag = whole.field("etag").unwrap();
        let date = whole.field("last-modified").unwrap();
        for method in ["GET", "HEAD"] {
            let ask = |fields: Fields<'_>| ask(&running, protocol, method, "/hello.txt", fields);
            for fields in [[("if-none-match", etag)], [("if-modified-since", date)]] {
                let answer = ask(&fields);
                assert_eq!((answer.status, answer.body.len()), (304, 0), "{fields:?}");
                assert_eq!(answer.field("etag"), Some(etag));
            }
            assert_eq!(ask(&[("if-match", "\"other\"")]).status, 412);
            let answer = ask(&[]);
            assert_eq!(
                (answer.status, answer.field("content-length")),
                (200, Some("11"))
            );
            assert_eq!(answer.body.is_empty(), method == "HEAD");
        }
    }
}

#[test]
fn text_has_a_charset_and_is_not_sniffed() {
    let directory = Directory::new("lacewingd-charset");
    // The start of a large file is looked at too.
    let large = "äöü—".repeat(20_000);
    let old = [&b"caf\xe9"[..], &[b'x'; 100_000]].concat();
    for (name, content) in [
        ("small.md", "äöü—".as_bytes()),
        ("large.csv", large.as_bytes()),
        ("small.txt", b"caf\xe9"),
        ("large.txt", &old),
    ] {
        fs::write(directory.path(name), content).unwrap();
    }
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in ALL {
        for (path, expected) in [
            ("/small.md", "text/markdown; charset=utf-8"),
            ("/large.csv", "text/csv; charset=utf-8"),
            ("/small.txt", "text/plain"),
            ("/large.txt", "text/plain"),
        ] {
            let answer = get(&running, protocol, path, &[]);
            assert_eq!(answer.field("content-type"), Some(expected), "{path}");
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
        }
    }
}
