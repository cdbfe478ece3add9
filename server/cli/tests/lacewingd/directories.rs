//! Pages of directories: bounded, and made once for many requests.

use std::fs;

use crate::{
    exchange::{ALL, MULTIPLEXED, Session, ask, get, head},
    program::{Directory, Running},
};

fn large_directory(name: &str, entries: usize) -> Directory {
    let directory = Directory::new(name);
    fs::create_dir_all(directory.path("many")).unwrap();
    for number in 0..entries {
        fs::write(directory.path(&format!("many/file-{number:05}.txt")), "").unwrap();
    }
    directory
}

#[test]
fn a_page_says_how_many_entries_are_left_out() {
    let directory = large_directory("lacewingd-left-out", 10_007);
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in ALL {
        let answer = get(&running, protocol, "/many/", &[]);
        assert_eq!(answer.status, 200);
        let page = answer.text();
        assert_eq!(page.matches("file-").count(), 2 * 10_000);
        let said = "Only 10000 entries are shown; 7 more are left out.";
        assert!(page.contains(said), "{protocol:?}");
        let head = ask(&running, protocol, "HEAD", "/many/", &[]);
        let len = page.len().to_string();
        assert_eq!(
            (head.status, head.field("content-length")),
            (200, Some(&*len))
        );
        assert!(head.body.is_empty());
    }
}

/// Responses that are not read share one page of about a megabyte.
#[cfg(target_os = "linux")]
#[test]
fn pages_that_are_not_read_are_held_once() {
    let directory = large_directory("lacewingd-held-pages", 10_000);
    let running = Running::start(&directory, &["--https", "off"]);
    get(&running, MULTIPLEXED[0], "/many/", &[]);
    let before = running.peak_memory();
    let mut held = Vec::new();
    for protocol in MULTIPLEXED {
        let mut session = Session::new(running.connect(), protocol, Some(1));
        for stream in 0..100 {
            let paths = ["/many/", "//many//", "/m%61ny/"];
            let path = paths[stream % paths.len()];
            let id = u32::try_from(2 * stream + 1).unwrap();
            session.open(id, &head(protocol, "localhost", "GET", path));
        }
        for stream in 0..100 {
            let answer = session.read_until(2 * stream + 1, |answer| answer.status > 0);
            assert_eq!(answer.status, 200, "{protocol:?}");
        }
        held.push(session);
    }
    let grown = running.peak_memory() - before;
    assert!(grown < 16 << 10, "{grown} KiB for 200 pages");
    // Those who read get a new page, once the old one has paid for itself.
    fs::write(directory.path("many/new"), "").unwrap();
    fs::remove_file(directory.path("many/file-00000.txt")).unwrap();
    for protocol in ALL {
        while !get(&running, protocol, "/many/", &[])
            .text()
            .contains("new</a>")
        {}
    }
}

#[test]
fn every_path_to_a_directory_names_itself() {
    let directory = Directory::new("lacewingd-aliases");
    std::os::unix::fs::symlink("below", directory.path("alias")).unwrap();
    let running = Running::start(&directory, &["--https", "off"]);
    for protocol in ALL {
        for name in ["below", "alias"] {
            let page = get(&running, protocol, &format!("/{name}/"), &[]).text();
            assert!(page.contains(&format!("<h1>/{name}/</h1>")), "{page}");
            assert!(
                page.contains("page.html") && page.ends_with("</html>\n"),
                "{page}"
            );
        }
    }
}

#[test]
fn a_directory_is_sorted_as_the_query_says_and_json_if_preferred() {
    let directory = Directory::new("lacewingd-views");
    for (name, len) in [("a10", 1), ("a9", 3), ("A1", 2)] {
        fs::write(directory.path(&format!("below/{name}")), vec![b'x'; len]).unwrap();
    }
    fs::create_dir_all(directory.path("below/zoo")).unwrap();
    let running = Running::start(&directory, &["--https", "off"]);
    let json = ("accept", "application/json, text/*;q=0.9");
    for protocol in ALL {
        for (query, expected) in [
            ("", "zoo A1 a9 a10 page.html"),
            ("?sort=name&order=desc", "zoo page.html a10 a9 A1"),
            ("?sort=size&order=asc", "zoo a10 A1 a9 page.html"),
        ] {
            let path = format!("/below/{query}");
            let answer = get(&running, protocol, &path, &[json]);
            assert_eq!(answer.field("content-type"), Some("application/json"));
            assert_eq!(answer.field("vary"), Some("accept"));
            let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!(
                (&value["path"], &value["left_out"]),
                (&"/below/".into(), &0.into())
            );
            let entries = value["entries"].as_array().unwrap().iter();
            let names: Vec<_> = entries
                .map(|entry| entry["name"].as_str().unwrap())
                .collect();
            assert_eq!(names.join(" "), expected, "{protocol:?} {query}");
            let page = get(&running, protocol, &path, &[("accept", "*/*")]);
            let html = Some("text/html; charset=utf-8");
            assert_eq!(
                (page.field("content-type"), page.field("vary")),
                (html, Some("accept"))
            );
            let page = page.text();
            let places: Vec<_> = names
                .iter()
                .map(|name| page.find(&format!("\"./{name}")).unwrap())
                .collect();
            assert!(places.is_sorted(), "{protocol:?} {query}: {page}");
        }
    }
}
