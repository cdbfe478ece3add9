//! Responses that their reader holds: they keep no file open.

#![cfg(target_os = "linux")]

use std::{fs, time::Duration};

use crate::{
    exchange::{ALL, MULTIPLEXED, Session, ask_over, get, head},
    program::{Directory, Running},
};

const LARGE: usize = 1 << 20;

#[test]
fn a_response_that_is_held_keeps_no_file_open() {
    let directory = Directory::new("lacewingd-held");
    for number in 0..100 {
        fs::write(
            directory.path(&format!("large-{number}")),
            vec![b'x'; LARGE],
        )
        .unwrap();
    }
    let args = ["--https", "off", "--max-open-files", "16"];
    let running = Running::start(&directory, &args);
    get(&running, MULTIPLEXED[0], "/large-0", &[]);
    let before = running.peak_memory();
    let mut held = Vec::new();
    for window in [0, 1] {
        for protocol in MULTIPLEXED {
            let mut session = Session::new(running.connect(), protocol, Some(window));
            for number in 0..100 {
                let path = format!("/large-{number}");
                session.open(2 * number + 1, &head(protocol, "localhost", "GET", &path));
            }
            for number in 0..100 {
                let answer = session.read_until(2 * number + 1, |answer| answer.status > 0);
                assert_eq!(answer.status, 200, "{protocol:?}");
            }
            held.push(session);
            let open = running.open_files(&directory);
            assert!(open <= 16, "{open} files are open");
        }
    }
    let grown = running.peak_memory() - before;
    assert!(grown < 400 * 48, "{grown} KiB for 400 responses");
    // Others are served, and the limit is theirs again.
    for protocol in ALL {
        let answer = get(&running, protocol, "/large-50", &[]);
        assert_eq!(
            (answer.status, answer.body.len()),
            (200, LARGE),
            "{protocol:?}"
        );
    }
    // What is not read is closed; how soon is for another day.
    while running.open_files(&directory) > 0 {
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Connections that are idle do not take the descriptors that files and other
/// clients need.
#[test]
fn idle_connections_leave_descriptors_for_files() {
    const DESCRIPTORS: u32 = 40;
    let directory = Directory::new("lacewingd-descriptors");
    let running = Running::start_limited(&directory, DESCRIPTORS, &["--https", "off"]);
    let idle: Vec<_> = (0..2 * DESCRIPTORS).map(|_| running.connect()).collect();
    for protocol in ALL {
        let io = running.connect();
        let answer = ask_over(io, protocol, "localhost", "GET", "/hello.txt", &[]);
        assert_eq!(answer.status, 200, "{protocol:?}");
    }
    assert!(running.open_descriptors() <= DESCRIPTORS as usize);
    drop(idle);
    running.terminate();
}
