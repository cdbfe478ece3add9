//! URLs of the command line.

use lacewing_client::Version;

use super::{
    curl::get,
    lacewing::{ended, run},
    servers::server,
};

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
