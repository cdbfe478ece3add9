//! The files for packagers: their options exist.

use std::{fs, path::PathBuf, process::Command};

use crate::program::{Directory, PROGRAM};

fn text_of(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("packaging");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn check(directory: &Directory, configuration: &str) {
    let file = directory.path("lacewingd.toml");
    fs::write(&file, configuration).unwrap();
    let checked = Command::new(PROGRAM)
        .arg("--check")
        .arg("--config")
        .arg(&file)
        .output();
    let checked = checked.unwrap();
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "{configuration}\n{said}");
}

#[test]
fn the_configurations_are_valid() {
    let directory = Directory::new("lacewingd-packaging");
    let root = directory.0.to_str().unwrap();
    let whole = text_of("lacewingd.toml").replace("/srv/www", root);
    check(&directory, &whole);
    // What is commented out is valid too.
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.path("cert.pem"), made.cert.pem()).unwrap();
    fs::write(directory.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let credentials = "/run/credentials/lacewingd.service";
    let more = whole
        .replace(credentials, root)
        .replace("# cert =", "cert =");
    let more = more
        .replace("# key =", "key =")
        .replace("# [proxy]", "[proxy]");
    check(&directory, &more.replace("# \"/api\"", "\"/api\""));

    // That of the manifest is indented below its key.
    let manifest = text_of("kubernetes.yaml");
    let (_, rest) = manifest.split_once("lacewingd.toml: |\n").unwrap();
    let lines = rest.lines().take_while(|line| *line != "---");
    let lines: Vec<_> = lines
        .map(|line| line.strip_prefix("    ").unwrap_or(line))
        .collect();
    let text = lines
        .join("\n")
        .replace("/tls/tls.crt", &format!("{root}/cert.pem"));
    check(
        &directory,
        &text.replace("/tls/tls.key", &format!("{root}/key.pem")),
    );
}

/// The example of the README, with files that exist.
#[test]
fn the_configuration_of_the_readme_is_valid() {
    let directory = Directory::new("lacewingd-readme");
    let root = directory.0.to_str().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.path("pem"), made.cert.pem()).unwrap();
    fs::write(directory.path("key"), made.signing_key.serialize_pem()).unwrap();
    fs::write(directory.path("missing.html"), "missing").unwrap();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let mut text = text.replace("/srv/www", root).replace("/srv/errors", root);
    for name in ["example.org", "example.net"] {
        text = text.replace(&format!("/etc/ssl/{name}."), &format!("{root}/"));
    }
    check(&directory, &text);
}

#[test]
fn the_command_lines_are_valid() {
    let containerfile = text_of("Containerfile");
    let line = containerfile
        .lines()
        .find_map(|line| line.strip_prefix("CMD "));
    let words: Vec<String> = serde_json::from_str(line.unwrap()).unwrap();
    let directory = Directory::new("lacewingd-container");
    let words = words
        .iter()
        .map(|word| word.replace("/srv", directory.0.to_str().unwrap()));
    let checked = Command::new(PROGRAM)
        .args(words)
        .arg("--check")
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");

    let service = text_of("lacewingd.service");
    assert!(
        service.contains("ExecStart=/usr/bin/lacewingd --config /etc/lacewingd/lacewingd.toml\n")
    );
    // The names of the sockets are those of the configuration.
    for (unit, name) in [
        ("lacewingd.socket", "https"),
        ("lacewingd-http.socket", "http"),
    ] {
        assert!(service.contains(unit));
        assert!(text_of(unit).contains(&format!("FileDescriptorName={name}\n")));
        assert!(text_of("lacewingd.toml").contains(&format!("{name} = \"fd:{name}\"\n")));
    }
}
