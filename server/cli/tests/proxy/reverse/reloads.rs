//! SIGHUP at both ends: tunnels whose settings did not change stay.

use std::{fs, process::Command};

use super::{OTHER_TOKEN, TOKEN, becomes, dialler, fresh_tokens, get, until};
use crate::program::{Directory, PROGRAM, Running};

/// A gateway by a file, and its directory.
fn gateway(tokens: &Directory, more: &str) -> Running {
    write(tokens, more);
    let file = tokens.path("gateway.toml");
    let config = ["--https", "off", "--config", file.to_str().unwrap()];
    Running::start_by(Command::new(PROGRAM), None, &config)
}

fn write(tokens: &Directory, more: &str) {
    let token = tokens.path("token");
    let text = format!(
        "proxy = ['tunnel:office', {more}]\n[tunnel]\noffice = '{}'\n",
        token.display()
    );
    fs::write(tokens.path("gateway.toml"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_keeps_tunnels_whose_token_is_the_same() {
    let (tokens, files) = (fresh_tokens(), Directory::new("lacewingd-reverse-reload"));
    let gateway = gateway(&tokens, "");
    let dialler = dialler(gateway.http, &tokens, &[files.0.to_str().unwrap()]);
    becomes(&gateway, "/hello.txt", 200).await;
    for number in 0..5 {
        // A route of which nothing is, to see that the reload is done.
        write(&tokens, &format!("'/new{number}=http://127.0.0.1:1'"));
        gateway.signal("-HUP");
        becomes(&gateway, &format!("/new{number}"), 502).await;
        assert_eq!(get(&gateway, "/hello.txt").await.0, 200);
    }
    // Another token: who has the old one serves no more.
    fs::write(tokens.path("token"), OTHER_TOKEN).unwrap();
    gateway.signal("-HUP");
    becomes(&gateway, "/hello.txt", 503).await;
    // The dialler reads it too.
    dialler.signal("-HUP");
    becomes(&gateway, "/hello.txt", 200).await;
    let (_, log) = dialler.terminate();
    assert_eq!(log.matches("connected;").count(), 2, "{log}");
    // The tunnel goes altogether.
    fs::write(tokens.path("gateway.toml"), "").unwrap();
    gateway.signal("-HUP");
    becomes(&gateway, "/hello.txt", 404).await;
    let (code, log) = gateway.terminate();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("its token is gone or another"), "{log}");
    assert!(!log.contains("next start only"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dialler_keeps_tunnels_whose_settings_are_the_same() {
    let (tokens, files) = (fresh_tokens(), Directory::new("lacewingd-reverse-redial"));
    let gateway = gateway(&tokens, "");
    let file = tokens.path("dialler.toml");
    let token = tokens.path("token");
    let write = |urls: &str, index: &str| {
        let text = format!(
            "directory = '{}'\nhttps = 'off'\nhttp = 'off'\ndial = [{urls}]\nindex = '{index}'\n\
             dial-token-file = '{}'\n",
            files.0.display(),
            token.display()
        );
        fs::write(&file, text).unwrap();
    };
    let url = format!("'http://{}/office'", gateway.http);
    write(&url, "none.html");
    let config = ["--config", file.to_str().unwrap()];
    let dialler = Running::launch(Command::new(PROGRAM), None, &config, Some("serves"));
    becomes(&gateway, "/hello.txt", 200).await;
    // What is served changes, for the tunnel that is there.
    assert!(get(&gateway, "/below/").await.1.contains("page.html"));
    write(&url, "page.html");
    dialler.signal("-HUP");
    crate::peers::patiently(async {
        while get(&gateway, "/below/").await.1 != "<p>below</p>" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    })
    .await;
    // Another way to the same gateway takes the place of the first.
    write(&format!("'http://{}/a/office'", gateway.http), "page.html");
    dialler.signal("-HUP");
    let line = "/a/office: connected";
    let (dialler, log) = until(dialler, line).await;
    becomes(&gateway, "/hello.txt", 200).await;
    let (code, rest) = dialler.terminate();
    let log = log + &rest;
    assert_eq!(code, Some(0), "{log}");
    assert!(!log.contains(TOKEN), "{log}");
    assert_eq!(log.matches("/a/office: connected").count(), 1, "{log}");
    assert_eq!(log.matches("connected;").count(), 2, "{log}");
}
