//! Connections to a pod from inside its network namespace.

use std::{
    fs::{File, read_link},
    io::ErrorKind,
    os::fd::AsFd,
    thread,
};

use lacewing_kube::server::NetworkNamespace;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    task::yield_now,
};

use crate::*;

const OURS: &str = "/proc/self/ns/net";

/// Entering needs `CAP_SYS_ADMIN`, also for the own namespace.
fn may_enter() -> bool {
    let enter = || {
        let file = File::open(OURS).unwrap();
        move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
    };
    thread::spawn(enter).join().unwrap().is_ok()
}

/// A process in a new namespace, whose loopback interface is down, and the path of the namespace.
async fn other_namespace() -> (Child, String) {
    let mut command = Command::new("unshare");
    let pod = command.args(["--net", "sleep", "600"]).kill_on_drop(true);
    let pod = pod.spawn().unwrap();
    let path = format!("/proc/{}/ns/net", pod.id().unwrap());
    while read_link(&path).unwrap() == read_link(OURS).unwrap() {
        yield_now().await;
    }
    (pod, path)
}

#[tokio::test]
async fn a_connection_is_made_in_the_namespace() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let ours = NetworkNamespace::at(OURS);
    if !may_enter() {
        let error = ours.connect(port).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let text = format!("cannot enter the network namespace {OURS}: ");
        assert!(error.to_string().starts_with(&text), "{error}");
        return;
    }
    let mut near = soon(ours.connect(port)).await.unwrap();
    let (mut far, _) = soon(listener.accept()).await.unwrap();
    far.write_all(b"pod").await.unwrap();
    let mut text = [0; 3];
    near.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"pod");

    let (_pod, path) = soon(other_namespace()).await;
    let error = soon(NetworkNamespace::at(&path).connect(port)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NetworkUnreachable, "{error}");
    let text = format!("cannot connect to the pod: 127.0.0.1:{port}: ");
    assert!(error.to_string().starts_with(&text), "{error}");
    // This thread has stayed in its own.
    TcpStream::connect(("127.0.0.1", port)).await.unwrap();
}

#[tokio::test]
async fn a_port_without_listener_and_a_namespace_that_is_gone() {
    if may_enter() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = NetworkNamespace::at(OURS).connect(port).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{error}");
    }
    let gone = NetworkNamespace::at("/run/netns/no-such-pod");
    let error = gone.connect(80).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error.to_string().contains("/run/netns/no-such-pod"),
        "{error}"
    );
}
