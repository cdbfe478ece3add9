//! The process runs out of file descriptors: service continues, or resumes.

#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    thread::sleep,
    time::Duration,
};

use rustix::process::{Resource, getrlimit};

use crate::{
    exchange::{ALL, MULTIPLEXED, Session, get, head},
    program::{Directory, Running},
};

/// The descriptors that a server gets of those that this process may have: as many
/// clients are here too.
fn descriptors(wanted: u64) -> u64 {
    let ours = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    wanted.min(ours / 3)
}

fn is_served(running: &Running) {
    for protocol in ALL {
        let answer = get(running, protocol, "/hello.txt", &[]);
        assert_eq!(answer.status, 200, "{protocol:?}");
    }
}

/// 1,100 idle connections at 1,024 descriptors, half of them with a request behind
/// them.
#[test]
fn more_idle_connections_than_descriptors_deny_no_client() {
    let directory = Directory::new("lacewingd-idle");
    let granted = descriptors(1024);
    let running = Running::start_limited(
        &directory,
        u32::try_from(granted).unwrap(),
        &["--https", "off"],
    );
    let mut idle = Vec::new();
    for number in 0..granted * 11 / 10 {
        let mut io = running.connect();
        if number % 2 == 0 {
            let request = b"GET /hello.txt HTTP/1.1\r\nhost: localhost\r\n\r\n";
            let _ = io.write_all(request);
        }
        idle.push(io);
    }
    is_served(&running);
    assert!(running.open_descriptors() <= usize::try_from(granted).unwrap());
    drop(idle);
    is_served(&running);
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0));
    // A thousand connections that leave are not a thousand lines.
    let warnings = log.lines().filter(|line| line.contains("WARN")).count();
    assert!(warnings < 100, "{warnings} warnings");
}

/// Eleven connections once blocked all other clients, with 54 KB in total.
#[test]
fn eleven_connections_of_held_responses_deny_no_client() {
    let directory = Directory::new("lacewingd-eleven");
    for number in 0..100 {
        fs::write(
            directory.path(&format!("large-{number}")),
            vec![b'x'; 1 << 20],
        )
        .unwrap();
    }
    let running = Running::start_limited(&directory, 256, &["--https", "off"]);
    let mut held = Vec::new();
    for turn in 0..11 {
        let protocol = MULTIPLEXED[turn % MULTIPLEXED.len()];
        let mut session = Session::new(running.connect(), protocol, Some(0));
        for number in 0..100 {
            let path = format!("/large-{number}");
            session.open(2 * number + 1, &head(protocol, "localhost", "GET", &path));
        }
        held.push(session);
    }
    for session in &mut held {
        session.read_until(199, |answer| answer.status > 0);
    }
    is_served(&running);
    assert!(running.open_descriptors() < 256);
}

/// More connections than descriptors, by a limit that is too high: accepting pauses,
/// says so, and goes on when some are gone.
#[test]
fn accepting_recovers_when_descriptors_ran_out() {
    const GRANTED: u32 = 40;
    let directory = Directory::new("lacewingd-emfile");
    let args = ["--https", "off", "--max-connections", "1000"];
    let running = Running::start_limited(&directory, GRANTED, &args);
    // Requests that have begun: these connections are not idle.
    let busy: Vec<TcpStream> = (0..2 * GRANTED)
        .map(|_| {
            let mut io = running.connect();
            let _ = io.write_all(b"GET /hello.txt HTTP/1.1\r\nhost: localhost\r\nx-more: ");
            io
        })
        .collect();
    // Many attempts, 50 ms apart.
    sleep(Duration::from_secs(1));
    drop(busy);
    is_served(&running);
    let (code, log) = running.terminate();
    assert_eq!(code, Some(0));
    let failed: Vec<_> = log
        .lines()
        .filter(|line| line.contains("accepting on"))
        .collect();
    assert!((1..=5).contains(&failed.len()), "{failed:?}");
    assert!(failed[0].contains("os error 24"), "{failed:?}");
}

/// A client that waits at the shutdown, because descriptors ran out, is served by one that another
/// gives back.
#[test]
fn a_client_that_waits_for_a_descriptor_at_a_shutdown_is_served() {
    const GRANTED: u32 = 40;
    let directory = Directory::new("lacewingd-emfile-shutdown");
    let args = ["--https", "off", "--max-connections", "1000"];
    let mut running = Running::start_limited(&directory, GRANTED, &args);
    let busy: Vec<TcpStream> = (0..2 * GRANTED)
        .map(|_| {
            let mut io = running.connect();
            let _ = io.write_all(b"GET /hello.txt HTTP/1.1\r\nhost: localhost\r\nx-more: ");
            io
        })
        .collect();
    let mut waiting = running.connect();
    waiting
        .write_all(b"GET /hello.txt HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .unwrap();
    sleep(Duration::from_millis(200));
    running.signal("-TERM");
    sleep(Duration::from_millis(200));
    drop(busy);
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let mut log = String::new();
    let mut stderr = running.child.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(log.contains("os error 24"), "{log}");
}

/// The bounds that the flags set are the bounds that hold.
#[test]
fn connections_are_bounded_by_the_flag() {
    let directory = Directory::new("lacewingd-four");
    let args = ["--https", "off", "--max-connections", "4"];
    let running = Running::start(&directory, &args);
    let before = running.open_descriptors();
    let idle: Vec<_> = (0..30).map(|_| running.connect()).collect();
    is_served(&running);
    assert!(running.open_descriptors() <= before + 4);
    drop(idle);
    let (_, log) = running.terminate();
    assert!(log.contains("max_connections, 4"), "{log}");
}
