//! `cp`.

use std::{
    io::{self, Read as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
};

use super::*;

#[test]
fn a_tree_goes_both_ways() {
    let api = Api::new();
    for transport in ["auto", "spdy", "http2"] {
        let folder = scratch("tree");
        let at = |name: &str| folder.join(name).display().to_string();
        fs::create_dir_all(at("here/a b")).unwrap();
        fs::write(at("here/a b/large"), vec![7; 2_000_000]).unwrap();
        fs::write(at("here/empty"), "").unwrap();
        let there = format!("mypod:{}", at("there"));
        let with = |from: &str, to: &str| run(&api, &["cp", from, to, "--transport", transport]);
        expect(&with(&at("here"), &there), 0, "", "");
        expect(&with(&there, &at("back")), 0, "", "");
        for name in ["there", "back"] {
            let large = fs::read(folder.join(name).join("a b/large")).unwrap();
            assert!(large == vec![7; 2_000_000]);
            assert_eq!(fs::read(folder.join(name).join("empty")).unwrap(), b"");
        }
    }
}

#[test]
fn failures_have_an_exit_code() {
    let api = Api::new();
    let folder = scratch("failures");
    let at = |name: &str| folder.join(name).display().to_string();
    let output = run(&api, &["cp", &format!("mypod:{}", at("none")), &at("x")]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("none: Cannot stat"), "{stderr}");
    let output = run(&api, &["cp", &at("none"), "mypod:/tmp"]);
    let expected = format!(
        "error: {}: No such file or directory (os error 2)\n",
        at("none")
    );
    expect(&output, 1, "", &expected);
    let output = run(&api, &["cp", "a", "b"]);
    assert_eq!(output.status.code(), Some(1));
    // Another namespace, in the place of the pod.
    let output = run(&api, &["cp", "other/mypod:/x", &at("x")]);
    assert!(text(&output.stderr).contains("404"), "{output:?}");
}

/// Each connection is lost after 400 kB of the server's bytes.
#[test]
fn retries_continue_a_copy_whose_connection_is_lost() {
    let api = Api::new();
    let folder = scratch("retries");
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(at("large"), vec![7; 2_000_000]).unwrap();
    let url = format!("http://{}", unreliable(&api, 400_000));
    let from = format!("mypod:{}", at("large"));
    let copy = |arguments: &[&str]| {
        let words = ["--server", &url, "cp", &from, &at("back")];
        run_with_input(&mut lacewing(&[&words, arguments].concat()), b"")
    };
    let output = copy(&[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    expect(&copy(&["--retries", "9"]), 0, "", "");
    assert!(fs::read(at("back")).unwrap() == vec![7; 2_000_000]);
}

/// The address of a proxy that passes so many bytes of the server on each connection.
fn unreliable(api: &Api, budget: u64) -> SocketAddr {
    let target = api.address;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(target).unwrap());
            let (from_client, to_server) = (client.try_clone(), server.try_clone());
            std::thread::spawn(move || {
                let (mut from, mut to) = (from_client.unwrap(), to_server.unwrap());
                // Either side may be gone.
                let _ = io::copy(&mut from, &mut to);
            });
            std::thread::spawn(move || {
                let _ = io::copy(&mut (&server).take(budget), &mut &client);
                let _ = (
                    client.shutdown(Shutdown::Both),
                    server.shutdown(Shutdown::Both),
                );
            });
        }
    });
    address
}

/// A disk of 8 blocks, as far as one file can tell.
#[cfg(unix)]
#[test]
fn a_full_disk_is_reported_with_the_file() {
    let api = Api::new();
    let folder = scratch("full");
    let at = |name: &str| folder.join(name).display().to_string();
    fs::write(at("large"), vec![7; 2_000_000]).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "sh"]);
    command.args([
        env!("CARGO_BIN_EXE_lacewing"),
        "kube",
        "--server",
        &api.url(),
    ]);
    command.args(["cp", &format!("mypod:{}", at("large")), &at("copy")]);
    let output = run_with_input(&mut command, b"");
    let expected = format!("error: {}: File too large (os error 27)\n", at("copy"));
    expect(&output, 1, "", &expected);
}
