//! `cp`.

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
