//! `lacewing conform` against servers whose first bytes, or TLS, decide the protocol.

use lacewing_server::Server;

use super::{
    lacewing::{ended, run},
    servers::{self_signed, serve_routes},
    support::any_port,
};

/// In cleartext, our server knows the session's window only from the client's first credit for it.
#[test]
fn a_page_larger_than_the_session_s_window_passes_in_cleartext_and_over_tls() {
    let cleartext = serve_routes(Server::builder().bind(any_port())).unwrap();
    for origin in [
        format!("http://{cleartext}"),
        format!("https://localhost:{}", self_signed().port()),
    ] {
        let page = format!("{origin}/bytes/300000");
        let (code, report, said) = ended(&run(&[
            "conform",
            "-k",
            "--protocol",
            "spdy/3.1",
            "--only",
            "2.6.4",
            &page,
        ]));
        assert_eq!(code, Some(0), "{report}{said}");
        assert!(
            report.contains(" 0 failed") && report.contains(" 0 advice"),
            "{report}{said}"
        );
    }
}
