//! `get -OJ`: the file names that servers choose.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    process::Command,
};

use super::{
    curl::{Http1, scratch},
    lacewing::ended,
};

/// Runs `get` in a folder.
fn get(folder: &Path, args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lacewing"));
    command.args(["get", "--http1.1"]).args(args);
    ended(&command.current_dir(folder).output().unwrap())
}

fn named(disposition: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\ncontent-disposition: {disposition}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn the_server_names_the_file_but_no_folder_and_no_file_that_exists() {
    let server = Http1::start(|request, _| match request.split(' ').nth(1).unwrap() {
        "/up" => named("attachment; filename=\"../../a.txt\"", "new"),
        "/hidden" => named("attachment; filename=.profile", "evil"),
        _ => named("inline", "plain"),
    });
    let outer = scratch("names");
    let folder = outer.join("x/y");
    fs::create_dir_all(&folder).unwrap();
    let (code, out, said) = get(
        &folder,
        &["-OJ", "-w", "%{filename_effective}", &server.url("/up")],
    );
    assert_eq!((code, out.as_str()), (Some(0), "a.txt"), "{said}");
    assert!(said.contains("into a.txt"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("a.txt")).unwrap(), "new");
    assert!(!outer.join("a.txt").exists());

    fs::write(folder.join("a.txt"), "mine").unwrap();
    let (code, _, said) = get(&folder, &["-sSOJ", &server.url("/up")]);
    assert_eq!(code, Some(23), "{said}");
    assert!(said.contains("a.txt exists"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("a.txt")).unwrap(), "mine");
    let (code, _, said) = get(&folder, &["-sSOJ", "--clobber", &server.url("/up")]);
    assert_eq!((code, said.as_str()), (Some(0), ""));
    assert_eq!(fs::read_to_string(folder.join("a.txt")).unwrap(), "new");

    // Without a name, that of the URL; nothing is overwritten then, either.
    for (path, name) in [("/hidden", "_.profile"), ("/file.bin", "file.bin")] {
        let (code, _, said) = get(&folder, &["-OJ", &server.url(path)]);
        assert_eq!(code, Some(0), "{said}");
        assert!(folder.join(name).exists(), "{name}");
        let (code, _, said) = get(&folder, &["-OJ", &server.url(path)]);
        assert_eq!(code, Some(23), "{said}");
    }
}

/// The try that failed made the file.
#[test]
fn another_try_may_overwrite_the_file_of_the_one_before() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let whole = named("a; filename=f", "the whole");
            // The first body stands still.
            let length = whole.len() - if number == 0 { 5 } else { 0 };
            stream.write_all(&whole.as_bytes()[..length]).unwrap();
            open.push(stream);
        }
    });
    let folder = scratch("names-again");
    let args = [
        "-OJ",
        "-m",
        "1",
        "--retry",
        "3",
        "--retry-delay",
        "0.01",
        &url,
    ];
    let (code, _, said) = get(&folder, &args);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("trying again"), "{said}");
    assert_eq!(fs::read_to_string(folder.join("f")).unwrap(), "the whole");
    let (code, _, said) = get(&folder, &["-J", &url]);
    assert_eq!(code, Some(2), "{said}");
}
