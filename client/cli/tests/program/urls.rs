//! URLs of the command line.

use lacewing_client::Version;

use super::{
    curl::get,
    lacewing::{ended, run},
    servers::server,
};

/// It is no default port, with a scheme or without.
#[test]
fn a_port_above_65535_is_an_error() {
    for url in ["http://127.0.0.1:65536/", "https://[::1]:99999/"] {
        for command in [
            &["get"][..],
            &["load"],
            &["probe"],
            &["ping"],
            &["conform"],
            &["tap", "127.0.0.1:0"],
        ] {
            let (code, out, said) = ended(&run(&[command, &[url]].concat()));
            assert_eq!((code, out.as_str()), (Some(2), ""), "{command:?}: {said}");
            assert!(said.contains("a port is a number, at most 65535"), "{said}");
        }
    }
    for args in [
        &["127.0.0.1:99999/x"][..],
        &["-x", "127.0.0.1:99999", "http://a.example/"],
        &["-x", "socks5://[::1]:65536", "http://a.example/"],
    ] {
        let (code, _, said) = get(args);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("a port is a number, at most 65535"), "{said}");
    }
}

#[test]
fn a_url_without_a_scheme_is_http() {
    let url = format!("{}/hello", server(Version::Http2));
    let (code, out, said) = get(&[&url]);
    assert_eq!((code, out.as_str()), (0, "hello world"), "{said}");
    for command in ["load", "probe", "ping", "conform"] {
        let (code, _, said) = ended(&run(&[command, &url]));
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.contains(&format!("write http://{url} or")),
            "{command}: {said}"
        );
    }
}
