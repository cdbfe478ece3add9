//! `get --waterfall`.

use std::fs;

use lacewing_client::Version;

use super::{
    curl::{Http1, get, ok, scratch},
    servers::{self_signed, server},
};
use crate::support::pattern;

/// The lines of the terminal's form that begin with an id.
fn rows(said: &str) -> Vec<&str> {
    let is_row = |line: &&str| {
        let id = line.trim_start().split([' ', '*']).next();
        id.is_some_and(|id| id.parse::<u32>().is_ok()) && line.contains('|')
    };
    said.lines().filter(is_row).collect()
}

#[test]
fn each_stream_has_a_row_in_every_protocol() {
    for version in Version::ALL {
        let base = format!("http://{}", server(version));
        let (a, b) = (format!("{base}/bytes/200000"), format!("{base}/nothing"));
        let args = ["-o", "/dev/null", "--waterfall", "-p", version.alpn()];
        let (code, out, said) = get(&[&args[..], &[&a, &b]].concat());
        assert_eq!((code, out.as_str()), (0, ""), "{said}");
        assert!(!said.contains('\x1b'), "{said}");
        let title = format!("{} {base}: ", version.alpn());
        assert!(said.contains(&title), "{said}");
        let rows = rows(&said);
        assert_eq!(rows.len(), 2, "{said}");
        for (row, path, status) in [
            (rows[0], "GET /bytes/200000", " 200    195K |"),
            (rows[1], "GET /nothing", " 404      12 |"),
        ] {
            assert!(row.contains(path) && row.contains(status), "{row}");
            assert!(row.contains('█'), "{row}");
        }
        assert!(said.contains("window empty"), "{said}");
        // Cleartext has no TLS.
        assert!(said.contains("TCP ") && !said.contains(", TLS "), "{said}");
    }
    let url = format!("https://localhost:{}/nothing", self_signed().port());
    let (_, _, said) = get(&["-k", "-o", "/dev/null", "--waterfall", &url]);
    assert!(said.contains(", TLS "), "{said}");
}

#[test]
fn pushes_and_http1_have_rows_too() {
    let base = format!("http://{}", server(Version::Spdy31));
    let url = format!("{base}/pushes");
    let (code, _, said) = get(&["--push", "--waterfall", "-p", "spdy/3.1", &url]);
    assert_eq!(code, 0);
    let pushed = rows(&said);
    assert!(
        pushed.iter().any(|row| row.contains("2* GET /bytes/1000")),
        "{said}"
    );
    let http1 = Http1::start(|_, _| ok("hello"));
    let (code, _, said) = get(&["--http1.1", "--waterfall", &http1.url("/x")]);
    assert_eq!(code, 0);
    assert!(
        said.contains(&format!("http/1.1 {}", http1.url(""))),
        "{said}"
    );
    assert_eq!(rows(&said).len(), 1, "{said}");
}

/// The server takes no more than its first window.
#[test]
fn an_upload_that_nobody_reads_stalls_on_its_window() {
    let folder = scratch("waterfall");
    let upload = folder.join("upload");
    fs::write(&upload, pattern(4 << 20)).unwrap();
    for version in [Version::Http2, Version::Spdy31, Version::Spdy3] {
        let url = format!("http://{}/never", server(version));
        let page = folder.join("stalled.html");
        let option = format!("--waterfall={}", page.display());
        let args = ["-m", "0.5", "-p", version.alpn(), "-T"];
        let upload = upload.to_str().unwrap();
        let (code, _, said) = get(&[&args[..], &[upload, &option, &url]].concat());
        assert_eq!(code, 28, "{said}");
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains("PUT /never"), "{version}");
        let stalls = page.matches("was empty for").count();
        assert!(stalls >= 1, "{version}: {page}");
        assert!(page.contains("class=\"stalled\""));
    }
}

#[test]
fn a_page_and_a_picture_need_nothing_else() {
    let folder = scratch("waterfall-page");
    let url = format!("http://{}/bytes/100000", server(Version::Http2));
    for name in ["page.html", "page.svg"] {
        let path = folder.join(name);
        let option = format!("--waterfall={}", path.display());
        let (code, _, said) = get(&["-o", "/dev/null", &option, &url]);
        assert_eq!((code, said.as_str()), (0, ""));
        let drawn = fs::read_to_string(&path).unwrap();
        for text in [
            "GET /bytes/100000",
            "class=\"waiting\"",
            "whose bytes",
            "dark",
        ] {
            assert!(drawn.contains(text), "{name}: {text}");
        }
        for foreign in ["<script", "src=", "href", "@import", "url("] {
            assert!(!drawn.contains(foreign), "{name}: {foreign}");
        }
    }
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    assert!(page.contains("1 stream in ") && page.contains("over 1 connection<"));
    assert!(page.contains("&gt; HEADERS stream=1"), "{page}");
    let (code, _, said) = get(&["--waterfall=page.png", &url]);
    assert_eq!(code, 2);
    assert!(said.contains(".html or .svg"), "{said}");
    let (code, _, said) = get(&["-o", "/dev/null", "--waterfall=/nowhere/page.html", &url]);
    assert_eq!(code, 23, "{said}");
}

/// A field of a request or of a response is nobody's business in a picture that is shown around.
#[test]
fn no_header_field_is_in_the_page() {
    let path = scratch("waterfall-secret").join("page.html");
    let url = format!("http://{}/hello", server(Version::Http2));
    let option = format!("--waterfall={}", path.display());
    let args = ["-H", "authorization: Bearer sesame", &option, &url];
    let (code, _, _) = get(&args);
    assert_eq!(code, 0);
    assert!(!fs::read_to_string(path).unwrap().contains("sesame"));
}
