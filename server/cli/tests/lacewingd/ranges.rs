//! Ranges: parts of files, one or several.

use std::{
    fs::{self, File},
    time::{Duration, SystemTime},
};

use crate::{
    exchange::{ALL, Answer, Protocol, ask, get},
    program::{Directory, Running},
};

/// Larger than what is kept in memory.
const LARGE: usize = 300_000;

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| u8::try_from(at % 251).unwrap()).collect()
}

struct Case {
    directory: Directory,
    running: Running,
}

impl Case {
    fn new(name: &str) -> Self {
        let directory = Directory::new(name);
        fs::write(directory.path("empty"), "").unwrap();
        fs::write(directory.path("small"), content(1000)).unwrap();
        fs::write(directory.path("large"), content(LARGE)).unwrap();
        let running = Running::start(&directory, &["--https", "off"]);
        Self { directory, running }
    }

    fn range(&self, protocol: Protocol, path: &str, range: &str) -> Answer {
        get(&self.running, protocol, path, &[("range", range)])
    }
}

#[test]
fn one_range_is_a_part() {
    let case = Case::new("lacewingd-range");
    for protocol in ALL {
        for (path, size) in [("/small", 1000), ("/large", LARGE)] {
            let whole = content(size);
            for (range, start, end) in [
                ("bytes=0-0", 0, 1),
                ("bytes=10-19", 10, 20),
                ("bytes=900-", 900, size),
                ("bytes=-7", size - 7, size),
                ("bytes=-9999999", 0, size),
                ("bytes=1-9999999", 1, size),
                ("bytes=0-", 0, size),
                // These overlap, or touch.
                ("bytes=0-5,3-9,10-11", 0, 12),
            ] {
                let answer = case.range(protocol, path, range);
                assert_eq!(answer.status, 206, "{protocol:?} {path} {range}");
                assert!(
                    answer.body == whole[start..end],
                    "{protocol:?} {path} {range}"
                );
                let said = format!("bytes {start}-{}/{size}", end - 1);
                assert_eq!(answer.field("content-range"), Some(&*said));
            }
            let answer = case.range(protocol, path, &format!("bytes={size}-"));
            let said = format!("bytes */{size}");
            assert_eq!(
                (answer.status, answer.field("content-range")),
                (416, Some(&*said))
            );
        }
    }
}

#[test]
fn several_ranges_are_a_multipart() {
    let case = Case::new("lacewingd-multipart");
    for protocol in ALL {
        for (path, size) in [("/small", 1000), ("/large", LARGE)] {
            let whole = content(size);
            let answer = case.range(protocol, path, "bytes=500-599, 0-9, -3");
            assert_eq!(answer.status, 206, "{protocol:?} {path}");
            let content_type = answer.field("content-type").unwrap();
            let boundary = content_type
                .strip_prefix("multipart/byteranges; boundary=")
                .unwrap();
            let mut expected = Vec::new();
            for (start, end) in [(500, 600), (0, 10), (size - 3, size)] {
                let head = format!(
                    "\r\n--{boundary}\r\ncontent-type: application/octet-stream\r\n\
                     content-range: bytes {start}-{}/{size}\r\n\r\n",
                    end - 1
                );
                expected.extend_from_slice(head.as_bytes());
                expected.extend_from_slice(&whole[start..end]);
            }
            expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert!(answer.body == expected, "{protocol:?} {path}");
            assert_eq!(answer.field("content-range"), None);
        }
    }
}

#[test]
fn other_ranges_get_the_whole_file() {
    let case = Case::new("lacewingd-whole");
    let many: Vec<_> = (0..100)
        .map(|number| format!("{0}-{0}", 2 * number))
        .collect();
    let many = format!("bytes={}", many.join(","));
    for protocol in ALL {
        for range in [
            "lines=1-2",
            "bytes=x",
            "bytes=5-1",
            "bytes 0-1",
            "bytes=",
            &many,
        ] {
            let answer = case.range(protocol, "/small", range);
            assert_eq!(
                (answer.status, answer.body.len()),
                (200, 1000),
                "{protocol:?} {range}"
            );
            assert_eq!(answer.field("accept-ranges"), Some("bytes"));
        }
        // Only GET has ranges.
        let fields = [("range", "bytes=0-0")];
        let answer = ask(&case.running, protocol, "HEAD", "/small", &fields);
        assert_eq!(
            (answer.status, answer.field("content-length")),
            (200, Some("1000"))
        );
    }
}

#[test]
fn an_empty_file_has_no_ranges() {
    let case = Case::new("lacewingd-empty");
    for protocol in ALL {
        assert_eq!(get(&case.running, protocol, "/empty", &[]).status, 200);
        for range in ["bytes=0-", "bytes=0-0"] {
            let answer = case.range(protocol, "/empty", range);
            assert_eq!(answer.status, 416, "{protocol:?} {range}");
            assert_eq!(answer.field("content-range"), Some("bytes */0"));
        }
        assert_eq!(case.range(protocol, "/empty", "bytes=-5").status, 200);
    }
}

#[test]
fn if_range_needs_a_strong_validator() {
    let case = Case::new("lacewingd-if-range");
    let old = SystemTime::now() - Duration::from_secs(3600);
    let small = File::options()
        .append(true)
        .open(case.directory.path("small"));
    small.unwrap().set_modified(old).unwrap();
    for protocol in ALL {
        let whole = get(&case.running, protocol, "/small", &[]);
        let etag = whole.field("etag").unwrap();
        let date = whole.field("last-modified").unwrap();
        let weak = format!("W/{etag}");
        for (validator, status) in [
            (etag, 206),
            (date, 206),
            (&weak, 200),
            ("\"other\"", 200),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
            ("nothing", 200),
        ] {
            let fields = [("range", "bytes=990-"), ("if-range", validator)];
            let answer = get(&case.running, protocol, "/small", &fields);
            let len = if status == 206 { 10 } else { 1000 };
            assert_eq!(
                (answer.status, answer.body.len()),
                (status, len),
                "{validator}"
            );
            // What can't be satisfied does not matter if the copy is old.
            let fields = [("range", "bytes=5000-"), ("if-range", validator)];
            let answer = get(&case.running, protocol, "/small", &fields);
            assert_eq!(answer.status == 416, status == 206, "{validator}");
        }
    }
}
