//! Downloads whose connection is lost, and full disks.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

/// The server's bytes on each connection, after which it is lost.
const CONNECTION: usize = 400_000;

#[tokio::test]
async fn a_download_continues_with_the_byte_that_follows() {
    let folder = scratch("resume");
    let here = folder.join("here");
    fs::create_dir(&here).unwrap();
    tree(&here);
    let expected = snapshot(&here);
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let before = tasks();
        let server = machine().with_budget(CONNECTION);
        let back = folder.join(format!("back {number}"));
        let request = copying(transport).with(|request| request.retries = 20);
        let remote = here.to_str().unwrap();
        let received = soon(request.download(|| server.dial(), remote, &back)).await;
        assert_eq!(received.unwrap().bytes, 1_500_028, "{transport:?}");
        assert_eq!(snapshot(&back), expected, "{transport:?}");
        // The archive has 1.5 MB, and no byte of it is sent twice.
        let dials = server.dials();
        assert!((4..=6).contains(&dials), "{transport:?}: {dials}");
        drop(server);
        tasks_end(before).await;
    }
}

#[tokio::test]
async fn retries_are_counted_and_only_for_connections() {
    let folder = scratch("retries");
    fs::write(folder.join("large"), vec![7; 3_000_000]).unwrap();
    let source = folder.join("large");
    for retries in [0, 2] {
        let server = machine().with_budget(CONNECTION);
        let request = copying(StreamingProtocol::Spdy).with(|request| request.retries = retries);
        let remote = source.to_str().unwrap();
        let copied = soon(request.download(|| server.dial(), remote, &folder.join("x"))).await;
        let error = copied.unwrap_err();
        assert!(matches!(error, CopyError::Session(_)), "{error:?}");
        assert_eq!(server.dials(), retries as usize + 1);
    }
    // Another attempt would not help.
    let server = machine();
    let request = copying(StreamingProtocol::Spdy).with(|request| request.retries = 5);
    let copied = soon(request.download(|| server.dial(), "/no/such/file", &folder.join("x"))).await;
    let error = copied.unwrap_err();
    assert!(matches!(error, CopyError::Remote { .. }), "{error:?}");
    assert_eq!(server.dials(), 1);
}

/// The rest of another archive would make files that never existed.
#[tokio::test]
async fn files_that_changed_in_between_are_not_joined() {
    let folder = scratch("changed");
    let source = folder.join("source");
    fs::write(&source, vec![7; 3_000_000]).unwrap();
    let server = machine().with_budget(CONNECTION);
    let request = copying(StreamingProtocol::Spdy).with(|request| request.retries = 20);
    let is_first = AtomicBool::new(true);
    let connect = || {
        if !is_first.swap(false, Ordering::Relaxed) {
            fs::write(&source, vec![8; 3_000_000]).unwrap();
        }
        server.dial()
    };
    let remote = source.to_str().unwrap();
    let copied = soon(request.download(connect, remote, &folder.join("x"))).await;
    let error = copied.unwrap_err();
    assert!(matches!(error, CopyError::Remote { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("source has changed since"), "{text}");
    assert_eq!(server.dials(), 2);
}

/// tar's own exit code passes through the pipes of a download that goes on.
#[tokio::test]
async fn tars_failure_in_a_later_connection_is_reported() {
    let folder = scratch("later");
    let source = folder.join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("a"), vec![7; 3_000_000]).unwrap();
    let server = failing_tar(&folder).with_budget(CONNECTION);
    let request = copying(StreamingProtocol::Spdy).with(|request| request.retries = 20);
    let remote = source.to_str().unwrap();
    let copied = soon(request.download(|| server.dial(), remote, &folder.join("x"))).await;
    let error = copied.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("tar: a part is missing"), "{text}");
    assert!(text.ends_with("exit code 2"), "{text}");
    assert!(server.dials() > 2);
}

/// A container whose tar prints the archive, and fails at its end.
fn failing_tar(folder: &Path) -> Server {
    let programs = folder.join("programs");
    fs::create_dir(&programs).unwrap();
    let script =
        "#!/bin/sh\nPATH=${PATH#*:}\ntar \"$@\"\necho 'tar: a part is missing' >&2\nexit 2\n";
    fs::write(programs.join("tar"), script).unwrap();
    fs::set_permissions(programs.join("tar"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", programs.display());
    server(move |mut session, argv| {
        let path = path.clone();
        async move {
            let mut command = Command::new("sh");
            command.args(["-c", "exec \"$@\"", "sh"]).args(&argv);
            command.env("PATH", path);
            let ran = session.run(command, Duration::from_secs(2)).await;
            let _ = session.finish(ran.unwrap()).await;
        }
    })
}

/// A disk of 8 blocks, as far as one file can tell.
#[tokio::test]
async fn a_full_disk_of_the_container_has_the_words_of_tar() {
    let folder = scratch("full");
    fs::write(folder.join("large"), vec![7; 3_000_000]).unwrap();
    let limited = server(|mut session, argv| async move {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$@\"", "sh"]);
        command.args(&argv);
        let ran = session.run(command, Duration::from_secs(2)).await;
        let _ = session.finish(ran.unwrap()).await;
    });
    let error = upload(&limited, &folder.join("large"), &folder.join("copy"))
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Remote { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("tar: copy: "), "{text}");
    assert!(text.ends_with("exit code 2"), "{text}");
}
