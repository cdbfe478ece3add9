//! Copies to and from a container: with the tar of this machine, and with hostile archives.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::Arc,
};

use lacewing_kube::{
    CommandOutcome, CommandStreams,
    client::{CopyError, CopyRequest, CopySummary, Pod},
    server::{CommandOffer, ExecSession},
};
use percent_encoding::percent_decode_str;
use tar::{Builder, EntryType, Header};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use crate::{server::Server, *};

mod retries;

/// A server whose container is this machine.
fn machine() -> Server {
    server(|mut session, argv| async move {
        let mut command = Command::new(&argv[0]);
        command.args(&argv[1..]);
        let ran = session.run(command, Duration::from_secs(2)).await;
        let outcome = ran.unwrap_or_else(|error| CommandOutcome::Failed(error.to_string()));
        let _ = session.finish(outcome).await;
    })
}

/// A server that sends this archive, whatever the command.
fn archive(bytes: Vec<u8>) -> Server {
    let bytes = Arc::new(bytes);
    server(move |mut session, _| {
        let bytes = Arc::clone(&bytes);
        async move {
            let _ = session.stdout.as_mut().unwrap().write_all(&bytes).await;
            let _ = session.finish(CommandOutcome::Success).await;
        }
    })
}

fn server<R>(run: impl Fn(ExecSession, Vec<String>) -> R + Clone + Send + Sync + 'static) -> Server
where
    R: Future<Output = ()> + Send + 'static,
{
    Server::new(move |mut request| {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let words = query
            .split('&')
            .filter_map(|pair| pair.strip_prefix("command="));
        let argv = words.map(|word| percent_decode_str(word).decode_utf8().unwrap().into());
        let argv: Vec<String> = argv.collect();
        let offer = CommandOffer::new(CommandStreams::from_query(&query));
        let (response, pending) = offer.accept(&mut request).unwrap();
        let run = run.clone();
        tokio::spawn(async move {
            if let Ok(session) = pending.session().await {
                run(session, argv).await;
            }
        });
        response.map(|()| String::new())
    })
}

fn copying(transport: StreamingProtocol) -> CopyRequest {
    let pod = Pod {
        namespace: "default",
        name: "mypod",
        container: Some("c1"),
    };
    CopyRequest::new("http://pod".parse().unwrap(), pod)
        .with(|request| request.transport = transport)
}

async fn upload(server: &Server, local: &Path, remote: &Path) -> Result<CopySummary, CopyError> {
    let request = copying(StreamingProtocol::Spdy);
    soon(request.upload(|| server.dial(), local, remote.to_str().unwrap())).await
}

async fn download(server: &Server, remote: &Path, local: &Path) -> Result<CopySummary, CopyError> {
    let request = copying(StreamingProtocol::Spdy);
    soon(request.download(|| server.dial(), remote.to_str().unwrap(), local)).await
}

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join("copy")
        .join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// A tree with what trees have.
fn tree(root: &Path) {
    let long = "n".repeat(200);
    for folder in ["a/b c", "empty folder", &format!("{long}/{long}")] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    let large: Vec<u8> = (0..1_500_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(root.join("a/large"), large).unwrap();
    fs::write(root.join("a/b c/with a space"), "1").unwrap();
    fs::write(root.join("-f"), "a name like an option").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::write(root.join(format!("{long}/{long}/{long}")), "deep").unwrap();
    fs::write(root.join("ünïcode"), "é").unwrap();
    for (name, mode) in [("empty", 0o400), ("a/large", 0o755), ("a/b c", 0o750)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(root.join(name), permissions).unwrap();
    }
    symlink("../a/large", root.join("a/link")).unwrap();
    symlink("b c", root.join("a/folder link")).unwrap();
    symlink("does not exist", root.join("dangling")).unwrap();
    fs::hard_link(root.join("a/large"), root.join("hard link")).unwrap();
}

/// Everything below a folder: modes, and contents or targets.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = match metadata.file_type() {
                kind if kind.is_symlink() => fs::read_link(&path).unwrap().to_str().unwrap().into(),
                kind if kind.is_dir() => {
                    folders.push(path.clone());
                    Vec::new()
                }
                _ => fs::read(&path).unwrap(),
            };
            let name = path.strip_prefix(root).unwrap().to_owned();
            all.insert(name, (metadata.permissions().mode(), content));
        }
    }
    all
}

#[tokio::test]
async fn a_tree_goes_both_ways() {
    let folder = scratch("tree");
    let here = folder.join("here");
    fs::create_dir(&here).unwrap();
    tree(&here);
    let expected = snapshot(&here);
    assert_eq!(expected.len(), 15);
    for (number, transport) in TRANSPORTS.into_iter().enumerate() {
        let before = tasks();
        let (server, request) = (machine(), copying(transport));
        let there = folder.join(format!("there {number}"));
        let remote = there.to_str().unwrap();
        let sent = soon(request.upload(|| server.dial(), &here, remote)).await;
        // The folder itself is an entry, too.
        let sent = sent.unwrap();
        assert_eq!((sent.entries, sent.bytes), (16, 3_000_028), "{transport:?}");
        assert_eq!(snapshot(&there), expected, "{transport:?}");
        let back = folder.join(format!("new/back {number}"));
        let received = soon(request.download(|| server.dial(), remote, &back)).await;
        let received = received.unwrap();
        assert_eq!((received.entries, received.skipped), (16, 0));
        assert_eq!(snapshot(&back), expected, "{transport:?}");
        // A second time, over what is there.
        let again = soon(request.download(|| server.dial(), remote, &back)).await;
        assert_eq!(again.unwrap(), received);
        assert_eq!(snapshot(&back), expected, "{transport:?}");
        tasks_end(before).await;
    }
}

#[tokio::test]
async fn names_are_kubectls() {
    let folder = scratch("names");
    let (server, at) = (machine(), |name: &str| folder.join(name));
    for name in ["local", "remote"] {
        fs::create_dir(at(name)).unwrap();
    }
    fs::write(at("file"), "content").unwrap();
    let is_copy = |name: &str| assert_eq!(fs::read(at(name)).unwrap(), b"content", "{name}");
    // Into a folder, and to a new name.
    upload(&server, &at("file"), &at("remote")).await.unwrap();
    is_copy("remote/file");
    upload(&server, &at("file"), &at("remote/new"))
        .await
        .unwrap();
    is_copy("remote/new");
    download(&server, &at("remote/new"), &at("local"))
        .await
        .unwrap();
    is_copy("local/new");
    download(&server, &at("remote/new"), &at("made/on/the/way"))
        .await
        .unwrap();
    is_copy("made/on/the/way");
    // A folder into a folder; its content back.
    upload(&server, &at("local"), &at("remote")).await.unwrap();
    is_copy("remote/local/new");
    download(&server, &at("remote"), &at("local"))
        .await
        .unwrap();
    is_copy("local/local/new");
    // A link at the start is followed to the container, and behind a slash from it.
    symlink("local", at("link")).unwrap();
    upload(&server, &at("link"), &at("remote")).await.unwrap();
    is_copy("remote/link/new");
    download(&server, &at("link/"), &at("behind"))
        .await
        .unwrap();
    is_copy("behind/new");
}

#[tokio::test]
async fn failures_have_the_words_of_tar() {
    let folder = scratch("failures");
    let (server, at) = (machine(), |name: &str| folder.join(name));
    fs::write(at("file"), "content").unwrap();
    let error = download(&server, &at("missing"), &at("x"))
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Remote { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("missing: Cannot stat"), "{text}");
    assert!(
        text.ends_with("command terminated with exit code 2"),
        "{text}"
    );
    assert!(!at("x").exists());
    // The remote folder is not there; the upload is larger than every buffer.
    fs::write(at("large"), vec![7; 3_000_000]).unwrap();
    let error = upload(&server, &at("large"), &at("no/such/folder"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("Cannot open"), "{error}");
    // Nothing is asked of the server.
    let before = server.dials();
    let error = upload(&server, &at("not here"), &at("x"))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, CopyError::Local { path, .. } if path == &at("not here")),
        "{error:?}"
    );
    assert_eq!(server.dials(), before);
    // A container without tar.
    let without = self::server(|session, _| async move {
        let text = "exec: \"tar\": executable file not found in $PATH".to_owned();
        let _ = session.finish(CommandOutcome::Failed(text)).await;
    });
    for error in [
        download(&without, &at("file"), &at("x")).await.unwrap_err(),
        upload(&without, &at("large"), &at("x")).await.unwrap_err(),
    ] {
        assert!(error.to_string().ends_with("not found in $PATH"), "{error}");
    }
}

/// tar reads its input to the end, or the copy is not complete.
#[tokio::test]
async fn a_success_that_read_no_archive_is_a_failure() {
    let folder = scratch("unread");
    fs::write(folder.join("large"), vec![7; 3_000_000]).unwrap();
    let lazy = server(|session, _| async move {
        let _ = session.finish(CommandOutcome::Success).await;
    });
    let error = upload(&lazy, &folder.join("large"), Path::new("/x"))
        .await
        .unwrap_err();
    assert!(matches!(error, CopyError::Unread { .. }), "{error:?}");
}

/// tar may end at the marker at the end of the archive, before stdin ends: it has read all.
#[tokio::test]
async fn a_tar_that_ends_at_the_end_of_the_archive_has_read_all() {
    let folder = scratch("ends-at-the-marker");
    fs::write(folder.join("file"), "content").unwrap();
    let server = server(|mut session, argv| async move {
        if argv[0] == "tar" {
            let mut stdin = session.stdin.take().unwrap();
            let (mut archive, mut piece) = (Vec::new(), [0; 512]);
            // Two blocks of zeros.
            while archive.len() < 1024 || archive[archive.len() - 1024..].iter().any(|b| *b != 0) {
                stdin.read_exact(&mut piece).await.unwrap();
                archive.extend_from_slice(&piece);
            }
        }
        let _ = session.finish(CommandOutcome::Success).await;
    });
    for _ in 0..100 {
        let sent = upload(&server, &folder.join("file"), Path::new("/x")).await;
        assert_eq!(sent.unwrap().bytes, 7);
    }
}

#[tokio::test]
async fn special_files_are_named() {
    let folder = scratch("special");
    fs::create_dir(folder.join("here")).unwrap();
    fs::write(folder.join("here/file"), "content").unwrap();
    let made = std::process::Command::new("mkfifo")
        .arg(folder.join("here/pipe"))
        .status();
    assert!(made.unwrap().success());
    let server = machine();
    let (here, there) = (folder.join("here"), folder.join("there"));
    for error in [
        upload(&server, &here, &there).await.unwrap_err(),
        download(&server, &here, &folder.join("back"))
            .await
            .unwrap_err(),
    ] {
        let CopyError::Incomplete(summary) = &error else {
            panic!("{error:?}");
        };
        assert_eq!((summary.entries, summary.skipped), (2, 1));
        let expected = "pipe: no file, folder or link";
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    for name in ["there/file", "back/file"] {
        assert_eq!(fs::read(folder.join(name)).unwrap(), b"content");
    }
}

#[tokio::test]
async fn copies_have_bounds() {
    let folder = scratch("bounds");
    let here = folder.join("here");
    fs::create_dir(&here).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(here.join(name), [7; 1000]).unwrap();
    }
    let server = machine();
    for (max_entries, max_bytes, expected) in [
        (4, Some(3000), None),
        (3, None, Some("max_entries")),
        (4, Some(2999), Some("max_bytes")),
    ] {
        let request = copying(StreamingProtocol::Spdy).with(|request| {
            (request.max_entries, request.max_bytes) = (max_entries, max_bytes);
        });
        let (there, back) = (folder.join("there"), folder.join("back"));
        let there = there.to_str().unwrap();
        let source = here.to_str().unwrap();
        for copied in [
            soon(request.upload(|| server.dial(), &here, there)).await,
            soon(request.download(|| server.dial(), source, &back)).await,
        ] {
            match (copied, expected) {
                (Ok(_), None) => {}
                (Err(CopyError::TooLarge { name, .. }), Some(expected)) => {
                    assert_eq!(name, expected);
                }
                (other, expected) => panic!("{other:?}, and not {expected:?}"),
            }
        }
    }
}

/// One entry of an archive that no honest tar writes: names are set without a check.
fn entry(kind: EntryType, name: &str, target: &str, content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o6777);
    header.set_size(content.len() as u64);
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn whole(entries: &[Vec<u8>]) -> Vec<u8> {
    [entries.concat(), vec![0; 1024]].concat()
}

#[tokio::test]
async fn hostile_archives_write_nothing_outside() {
    use EntryType::{Directory, Link, Regular, Symlink};

    let folder = scratch("hostile");
    let outside = folder.join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("victim"), "untouched").unwrap();
    let absolute = outside.to_str().unwrap();
    assert!(absolute.len() < 90, "{absolute}");
    let top = || entry(Directory, "src/", "", b"");
    let file = |name: &str| entry(Regular, name, "", b"evil");
    let link = |name: &str, target: &str| entry(Symlink, name, target, b"");
    let refused = [
        vec![top(), file("src/../outside/victim")],
        vec![top(), file("../outside/victim")],
        vec![top(), file(&format!("{absolute}/victim"))],
        vec![file("other")],
        vec![top(), entry(Link, "src/hard", "../outside/victim", b"")],
        vec![
            top(),
            entry(Link, "src/hard", &format!("{absolute}/victim"), b""),
        ],
        // A link that stays inside is made at the end; a folder takes its place until then.
        vec![
            top(),
            link("src/d", "e"),
            file("src/d/f"),
            link("src/d/f/g", "h"),
        ],
        // An entry below a file.
        vec![file("src"), file("src/f")],
        vec![top(), file("src")],
    ];
    let left_out = [
        vec![top(), link("src/l", absolute), file("src/l/victim")],
        vec![top(), link("src/l", "../outside"), file("src/l/victim")],
        vec![top(), link("src/l", "x/../.."), link("src/x", ".")],
        vec![top(), entry(EntryType::Char, "src/device", "", b"")],
    ];
    let attempts = refused.iter().map(|archive| (archive, false));
    let attempts = attempts.chain(left_out.iter().map(|archive| (archive, true)));
    for (number, (entries, is_left_out)) in attempts.enumerate() {
        let target = folder.join(format!("target {number}"));
        let copied = download(&archive(whole(entries)), Path::new("/src"), &target).await;
        match (copied.unwrap_err(), is_left_out) {
            (CopyError::Incomplete(summary), true) => assert_eq!(summary.skipped, 1, "{number}"),
            (CopyError::Unsafe { .. } | CopyError::Local { .. }, false) => {}
            (error, _) => panic!("{number}: {error:?}"),
        }
        let victim = fs::read(outside.join("victim")).unwrap();
        assert_eq!(victim, b"untouched", "{number}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "{number}");
    }
    // A link that was there before is not followed, whether to a folder or a file.
    let target = folder.join("with links");
    fs::create_dir(&target).unwrap();
    symlink(&outside, target.join("d")).unwrap();
    symlink(outside.join("victim"), target.join("victim")).unwrap();
    let entries = [top(), file("src/d/victim")];
    let error = download(&archive(whole(&entries)), Path::new("/src"), &target).await;
    assert!(matches!(error, Err(CopyError::Unsafe { .. })), "{error:?}");
    let entries = [top(), file("src/victim")];
    download(&archive(whole(&entries)), Path::new("/src"), &target)
        .await
        .unwrap();
    assert_eq!(fs::read(target.join("victim")).unwrap(), b"evil");
    assert_eq!(fs::read(outside.join("victim")).unwrap(), b"untouched");
    // Without set-user-id.
    let mode = fs::metadata(target.join("victim")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o777);
}

/// A name of many megabytes is not gathered.
#[tokio::test]
async fn long_names_have_a_bound() {
    let name = vec![b'n'; 4 << 20];
    for kind in [
        EntryType::GNULongName,
        EntryType::GNULongLink,
        EntryType::XHeader,
    ] {
        let entries = [entry(kind, "././@LongLink", "", &name)];
        let target = scratch("long names").join("x");
        let error = download(&archive(whole(&entries)), Path::new("/src"), &target)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"), "{error}");
    }
}

#[tokio::test]
async fn no_archive_and_a_part_of_one_are_failures() {
    let folder = scratch("parts");
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(2000);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "src", [7; 2000].as_slice())
        .unwrap();
    let bytes = builder.into_inner().unwrap();
    let garbage = b"this is no archive, but a login message".repeat(40);
    let parts = [0, 1, 511, 513, 1024, 2511].map(|len| bytes[..len].to_vec());
    for part in parts.into_iter().chain([garbage]) {
        let len = part.len();
        let error = download(&archive(part), Path::new("/src"), &folder.join("x")).await;
        assert!(
            matches!(error, Err(CopyError::Archive(_))),
            "{len}: {error:?}"
        );
    }
    // The connection ends after a number of bytes: never a success.
    let total = {
        let server = archive(bytes.clone());
        let copied = download(&server, Path::new("/src"), &folder.join("y")).await;
        assert_eq!(copied.unwrap().bytes, 2000);
        server.sent.load(std::sync::atomic::Ordering::Relaxed)
    };
    let mut failed = 0;
    for budget in (0..total).step_by(97) {
        let server = archive(bytes.clone()).with_budget(budget);
        match download(&server, Path::new("/src"), &folder.join("z")).await {
            Err(_) => failed += 1,
            // Only the frames behind the outcome are lost.
            Ok(summary) => assert_eq!(summary.bytes, 2000, "{budget} of {total}"),
        }
    }
    assert!(failed * 97 > 2000, "{failed} of {total} bytes");
}
