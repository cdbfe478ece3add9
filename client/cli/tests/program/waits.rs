//! The ends of waits in `get`.

use lacewing_client::Version;

use super::{
    curl::{Http1, get, ok},
    servers::{server, silent},
};

/// The first frame of HTTP/2 belongs to a connection that is ready.
#[test]
fn a_silent_server_ends_by_connect_timeout_and_is_tried_again() {
    let url = format!("http://{}/", silent());
    let options = [
        "--connect-timeout",
        "0.3",
        "--retry",
        "1",
        "--retry-delay",
        "0.01",
    ];
    for upgrade in [&[][..], &["--h2c-upgrade"]] {
        let (code, _, said) = get(&[&options, upgrade, &[&url]].concat());
        assert_eq!(code, 28, "{said}");
        assert!(said.contains("within 300ms (--connect-timeout)"), "{said}");
        assert!(
            said.contains("trying again") && !said.contains("preface_timeout"),
            "{said}"
        );
    }
}

/// As in curl, 0 is no limit of --max-time, and the default of the others.
#[test]
fn no_time_is_no_limit() {
    let url = format!("http://{}/hello", server(Version::Http2));
    let (code, out, said) = get(&["-m", "0", "--connect-timeout", "0", &url]);
    assert_eq!((code, out.as_str()), (0, "hello world"), "{said}");
    let server = Http1::start(|_, number| match number {
        0 => "HTTP/1.1 503 Busy\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n".into(),
        _ => ok("done"),
    });
    let args = ["--http1.1", "--retry", "1", "--retry-delay", "0"];
    let (code, _, said) = get(&[&args[..], &[&server.url("/")]].concat());
    assert!(code == 0 && said.contains("trying again at once"), "{said}");
}
